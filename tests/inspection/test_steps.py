"""Test the four steps of every kind of attention against the module's own numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from inspected import PAIRS, lstm, randomise, transformer

from minitx.data.tokenizers.sequence import BOS, EOS
from minitx.inspection.capture import capture, find_attention
from minitx.inspection.steps import steps_of
from minitx.nn.attention import CrossAttention, SelfAttention
from minitx.nn.positions import ALiBi, Rotary
from minitx.nn.recurrent_attention import AdditiveAttention, DotAttention

T, DIM, HEADS, HEAD_DIM = 5, 8, 4, 2

KINDS = {
    "plain": {},
    "without biases": {"bias": False},
    "causal": {"causal": True},
    "window": {"window": 2},
    "causal window": {"causal": True, "window": 2},
    "rotary": {"causal": True, "position": Rotary(HEAD_DIM, T)},
    "alibi": {"position": ALiBi(HEADS)},
    "causal alibi": {"causal": True, "position": ALiBi(HEADS)},
    "shared keys": {"kv_heads": 2},
    "one key for all": {"kv_heads": 1, "causal": True},
    "normed": {"qk_norm": True, "position": Rotary(HEAD_DIM, T)},
    "dropout": {"dropout": 0.5},
    "unscaled": {"causal": True, "scaled": False},
}


def attention_of(kind):
    return randomise(SelfAttention(DIM, HEADS, **KINDS[kind]))


def seen_by(kind):
    """What a kind may attend to, bool (T, T)."""
    behind = torch.arange(T)[:, None] - torch.arange(T)
    seen = behind.abs() < KINDS[kind].get("window", T)
    return seen & (behind >= 0) if KINDS[kind].get("causal") else seen


def bias_of(kind):
    """What is added to the scores, (HEADS, T, T): ALiBi's for four heads falls by these slopes."""
    slopes = torch.tensor([2**-2, 2**-4, 2**-6, 2**-8])
    distance = (torch.arange(T)[:, None] - torch.arange(T)).abs()
    return -slopes[:, None, None] * distance * isinstance(KINDS[kind].get("position"), ALiBi)


def scale_of(kind):
    return 1.0 if kind == "unscaled" else 1 / math.sqrt(HEAD_DIM)


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_each_step_follows_from_the_one_before(kind):
    attention, x = attention_of(kind), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    seen = seen_by(kind).expand(HEADS, T, T)
    assert torch.equal(steps.allowed, seen)
    scores = scale_of(kind) * steps.queries @ steps.keys.mT + bias_of(kind)
    torch.testing.assert_close(steps.scores[seen], scores[seen])
    weights = steps.scores.masked_fill(~seen, -math.inf).softmax(dim=-1)
    torch.testing.assert_close(steps.weights, weights)
    torch.testing.assert_close(steps.outputs, steps.weights @ steps.values)


@every_kind
def test_outputs_are_those_of_torch_and_of_the_fused_path(kind):
    attention, x = attention_of(kind), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    mask = bias_of(kind).masked_fill(~seen_by(kind), -math.inf)
    parts = steps.queries, steps.keys, steps.values
    expected = F.scaled_dot_product_attention(
        *(part[None] for part in parts), attn_mask=mask[None], scale=scale_of(kind)
    )
    torch.testing.assert_close(expected[0], steps.outputs)
    y, _ = attention(x)
    joined = torch.cat(list(steps.outputs), dim=-1)  # (T, DIM)
    torch.testing.assert_close(attention.output(joined), y[0], atol=1e-5, rtol=1e-5)


@every_kind
def test_rows_of_weights_sum_to_one_and_are_the_captured_ones(kind):
    attention, x = attention_of(kind), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    torch.testing.assert_close(steps.weights.sum(dim=-1), torch.ones(HEADS, T))
    assert not steps.weights[~steps.allowed].any()
    with capture(attention) as captured:
        attention(x)
    (weights,) = captured.values()
    assert torch.equal(steps.weights, weights[0])


def test_queries_keys_and_values_are_projections():
    attention, x = attention_of("plain"), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    for found, linear in (
        (steps.queries, attention.query),
        (steps.keys, attention.key),
        (steps.values, attention.value),
    ):
        expected = x[0] @ linear.weight.T + linear.bias
        for head in range(HEADS):
            mine = expected[:, head * HEAD_DIM : (head + 1) * HEAD_DIM]
            torch.testing.assert_close(found[head], mine)


def test_rotated_queries_are_shown_turned():
    """The first position is turned by nothing, and turning changes no length."""
    attention, x = attention_of("rotary"), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    for found, straight in (
        (steps.queries, attention.queries(x)[0]),
        (steps.keys, attention.keys_and_values(x)[0][0]),
    ):
        torch.testing.assert_close(found[:, 0], straight[:, 0])
        assert not torch.allclose(found[:, 1:], straight[:, 1:])
        torch.testing.assert_close(found.norm(dim=-1), straight.norm(dim=-1))


def test_shared_keys_are_repeated():
    attention, x = attention_of("shared keys"), torch.randn(1, T, DIM)
    steps = steps_of(attention, lambda: attention(x))
    for shared in (steps.keys, steps.values):
        assert torch.equal(shared[0], shared[1])
        assert torch.equal(shared[2], shared[3])
        assert not torch.equal(shared[1], shared[2])
    assert not torch.equal(steps.queries[0], steps.queries[1])


def test_cross_attention_between_two_lengths():
    attention = randomise(CrossAttention(DIM, HEADS))
    x, memory = torch.randn(1, 3, DIM), torch.randn(1, 6, DIM)
    padding = torch.arange(6)[None] < 4
    steps = steps_of(attention, lambda: attention(x, memory, padding))
    assert steps.queries.shape == (HEADS, 3, HEAD_DIM)
    assert steps.keys.shape == steps.values.shape == (HEADS, 6, HEAD_DIM)
    assert steps.scores.shape == steps.weights.shape == (HEADS, 3, 6)
    assert steps.allowed.equal(padding.expand(HEADS, 3, 6))
    torch.testing.assert_close(steps.weights.sum(dim=-1), torch.ones(HEADS, 3))
    torch.testing.assert_close(steps.outputs, steps.weights @ steps.values)


@pytest.mark.parametrize("score", [AdditiveAttention, DotAttention])
def test_recurrent_attention_has_one_head(score):
    attention = randomise(score(DIM))
    x, memory = torch.randn(1, 3, DIM), torch.randn(1, 6, DIM)
    padding = torch.arange(6)[None] < 4
    steps = steps_of(attention, lambda: attention(x, attention.keys_and_values(memory, padding)))
    assert torch.equal(steps.values[0], memory[0])
    torch.testing.assert_close(steps.keys[0], attention.key(memory)[0].detach())
    q, k = steps.queries[0], steps.keys[0]
    if score is DotAttention:
        assert torch.equal(q, x[0])
        scores = q @ k.T / math.sqrt(DIM)
    else:
        scores = (q[:, None] + k).tanh() @ attention.energy.detach()
    torch.testing.assert_close(steps.scores[0, :, :4], scores[:, :4])
    assert steps.allowed.equal(padding.expand(1, 3, 6))
    torch.testing.assert_close(steps.weights[0, :, :4], scores[:, :4].softmax(dim=-1))
    torch.testing.assert_close(steps.outputs[0], steps.weights[0] @ memory[0])


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_a_decoder_that_attends_step_by_step_is_put_together(score):
    model = randomise(PAIRS.build(lstm(attention=score, input_feeding=True)))
    (attention,) = find_attention(model).values()
    source, target = torch.tensor([[4, 5, 6, EOS]]), torch.tensor([[BOS, 4, 5]])
    steps = steps_of(attention, lambda: model(source, None, target))
    assert steps.weights.shape == steps.scores.shape == steps.allowed.shape == (1, 3, 4)
    assert steps.queries.shape == steps.outputs.shape == (1, 3, 8)
    assert steps.keys.shape == steps.values.shape == (1, 4, 8)
    with capture(model) as captured:
        model(source, None, target)
    assert torch.equal(steps.weights, captured["decoder.cross"][0])
    torch.testing.assert_close(steps.outputs, steps.weights @ steps.values)


def test_one_attention_of_a_whole_model():
    model = randomise(PAIRS.build(transformer()))
    source, target = torch.tensor([[4, 5, 6, EOS]]), torch.tensor([[BOS, 4, 5]])
    with capture(model) as captured:
        model(source, None, target)
    for name, attention in find_attention(model).items():
        steps = steps_of(attention, lambda: model(source, None, target))
        # To rounding: here the layers below it take the fused path.
        torch.testing.assert_close(steps.weights, captured[name][0], atol=1e-5, rtol=1e-5)


def test_nothing_is_left_behind():
    attention, x = attention_of("causal"), torch.randn(1, T, DIM)
    expected, _ = attention(x)
    kept = []
    attention.on_attention = kept.append  # somebody's own
    before = dict(vars(attention))
    steps_of(attention, lambda: attention(x))
    assert len(kept) == 1
    assert vars(attention) == before
    assert not attention.output._forward_pre_hooks
    attention.on_attention = None
    assert torch.equal(attention(x)[0], expected)


def test_nothing_is_left_behind_by_a_model_that_fails():
    attention = attention_of("causal")
    before = dict(vars(attention))
    with pytest.raises(RuntimeError):
        steps_of(attention, lambda: attention(torch.randn(1, T, DIM + 1)))
    assert vars(attention) == before
    assert not attention.output._forward_pre_hooks


def test_an_attention_that_is_not_called():
    with pytest.raises(ValueError, match="not called"):
        steps_of(attention_of("plain"), lambda: None)
