"""Test the attention of recurrent decoders against its equations written as loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import assert_close, capture, examples, randomise, real_tokens

from minitx.nn.init import initialise
from minitx.nn.recurrent_attention import ATTENTIONS

DIM = 6
kinds = pytest.mark.parametrize("kind", ATTENTIONS)


def score(attention, kind, h, m):
    """One decoder state h (C,) and one source position m (C,): a number."""
    if kind == "dot":
        return h @ attention.key(m) / math.sqrt(DIM)
    return attention.energy @ torch.tanh(attention.query(h) + attention.key(m))


@kinds
@examples
@given(queries=st.integers(1, 4), lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_it_is_its_equations(kind, queries, lengths):
    attention = randomise(ATTENTIONS[kind](DIM))
    captured = capture(attention)
    time = max(lengths)
    x, encoded = torch.randn(len(lengths), queries, DIM), torch.randn(len(lengths), time, DIM)
    y = attention(x, attention.keys_and_values(encoded, real_tokens(lengths, time)))
    (weights,) = captured
    assert weights.shape == (len(lengths), 1, queries, time)
    for row, length in enumerate(lengths):
        for query in range(queries):
            h = x[row, query]
            scores = [score(attention, kind, h, m) for m in encoded[row, :length]]
            expected = torch.stack(scores).softmax(dim=0)
            assert_close(weights[row, 0, query, :length], expected)
            assert (weights[row, 0, query, length:] == 0).all()
            context = sum(w * m for w, m in zip(expected, encoded[row], strict=False))
            assert_close(y[row, query], torch.tanh(attention.combine(torch.cat([context, h]))))


@kinds
def test_a_source_without_a_real_token_gives_a_zero_context(kind):
    attention = randomise(ATTENTIONS[kind](DIM))
    captured = capture(attention)
    x = torch.randn(2, 3, DIM, requires_grad=True)
    encoded = torch.randn(2, 4, DIM, requires_grad=True)
    y = attention(x, attention.keys_and_values(encoded, real_tokens([2, 0], 4)))
    assert (captured[0][1] == 0).all()
    assert_close(y[1], attention.combine(torch.cat([torch.zeros(3, DIM), x[1]], dim=-1)).tanh())

    y.square().sum().backward()
    assert (encoded.grad[1] == 0).all()
    for tensor in x, encoded, *attention.parameters():
        assert tensor.grad.isfinite().all()


@kinds
def test_it_starts_like_a_recurrence(kind):
    attention = ATTENTIONS[kind](100)
    initialise(attention, layers=1)
    for name, parameter in attention.named_parameters():
        inputs = 200 if name.startswith("combine") else 100
        assert parameter.abs().max().item() == pytest.approx(1 / math.sqrt(inputs), rel=0.06), name
