"""Test attention against torch's own and against loops."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from references import (
    assert_close,
    assert_same,
    attention_pairs,
    capture,
    copy_weights,
    examples,
    may_attend,
    randomise,
)
from torch import nn

from minitx.nn.attention import CrossAttention, SelfAttention, attend, attend_fused
from minitx.nn.positions import ALiBi, Rotary

sizes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "time": st.integers(1, 7),
        "heads": st.integers(1, 4),
        "head_dim": st.integers(1, 5),
    }
)
fused_and_explicit = pytest.mark.parametrize("explicit", [False, True], ids=["fused", "explicit"])
padded_or_not = pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])


def torch_twin(attention, dim):
    theirs = nn.MultiheadAttention(dim, attention.heads, batch_first=True)
    pairs = attention_pairs(attention)
    copy_weights(pairs, theirs)
    return theirs, pairs


# Torch's module: True = may NOT attend, one mask a head. A query that may attend to nothing is
# zero on its fused path (need_weights=False) and NaN in the weights of the other.
def forbidden(allowed, batch, heads):
    return ~allowed.expand(batch, -1, -1).repeat_interleave(heads, dim=0)


@fused_and_explicit
@padded_or_not
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@settings(deadline=None, max_examples=8)
@given(size=sizes)
def test_self_attention_is_torchs(size, causal, window, padded, explicit):
    batch, time, heads = size["batch"], size["time"], size["heads"]
    dim = heads * size["head_dim"]
    ours = randomise(SelfAttention(dim, heads, causal=causal, window=window))
    theirs, pairs = torch_twin(ours, dim)
    captured = capture(ours) if explicit else []
    x = torch.randn(batch, time, dim, requires_grad=True)
    padding = torch.rand(batch, time) < 0.7 if padded else None
    mask = forbidden(may_attend(time, time, causal, window, padding), batch, heads)

    y, _ = ours(x, padding)
    expected, _ = theirs(x, x, x, attn_mask=mask, need_weights=False)
    assert_same(y, expected, (x,), pairs, theirs)
    if explicit:
        _, weights = theirs(x, x, x, attn_mask=mask, average_attn_weights=False)
        assert_close(captured, [weights.nan_to_num()])


@fused_and_explicit
@padded_or_not
@settings(deadline=None, max_examples=8)
@given(size=sizes, queries=st.integers(1, 7))
def test_cross_attention_is_torchs(size, queries, padded, explicit):
    batch, keys, heads = size["batch"], size["time"], size["heads"]
    dim = heads * size["head_dim"]
    ours = randomise(CrossAttention(dim, heads))
    theirs, pairs = torch_twin(ours, dim)
    captured = capture(ours) if explicit else []
    x = torch.randn(batch, queries, dim, requires_grad=True)
    memory = torch.randn(batch, keys, dim, requires_grad=True)
    padding = torch.rand(batch, keys) < 0.7 if padded else torch.ones(batch, keys).bool()
    mask = forbidden(padding[:, None].expand(-1, queries, -1), batch, heads)

    y, _ = ours(x, memory, padding if padded else None)
    expected, _ = theirs(x, memory, memory, attn_mask=mask, need_weights=False)
    assert_same(y, expected, (x, memory), pairs, theirs)
    if explicit:
        _, weights = theirs(x, memory, memory, attn_mask=mask, average_attn_weights=False)
        assert_close(captured, [weights.nan_to_num()])


@examples
@given(
    size=sizes,
    queries=st.integers(1, 7),
    masked=st.booleans(),
    biased=st.booleans(),
    scaled=st.booleans(),
)
def test_attend_is_torchs_scaled_dot_product_attention(size, queries, masked, biased, scaled):
    batch, keys, heads, head_dim = size.values()
    q = torch.randn(batch, heads, queries, head_dim, dtype=torch.float64)
    k, v = torch.randn(2, batch, heads, keys, head_dim, dtype=torch.float64)
    allowed = torch.rand(batch, 1, queries, keys) < 0.6 if masked else None
    bias = torch.randn(heads, queries, keys, dtype=torch.float64) if biased else None
    mask = torch.zeros(batch, heads, queries, keys, dtype=torch.float64)
    if biased:
        mask = mask + bias
    if masked:
        mask = mask.masked_fill(~allowed, -torch.inf)
    # Queries that are sqrt(D) longer undo the division.
    longer = q if scaled else q * head_dim**0.5
    expected = F.scaled_dot_product_attention(longer, k, v, attn_mask=mask)

    record = attend(q, k, v, allowed, bias, scaled=scaled)
    torch.testing.assert_close(record.outputs, expected)  # float64: to 1e-7
    torch.testing.assert_close(attend_fused(q, k, v, allowed, bias, scaled=scaled), expected)
    has_key = (mask > -torch.inf).any(dim=-1)
    torch.testing.assert_close(record.weights.sum(dim=-1), has_key.double())


@fused_and_explicit
@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
def test_grouped_heads_are_full_heads_with_repeated_keys_and_values(kv_heads, explicit):
    dim, heads = 12, 6
    grouped = randomise(SelfAttention(dim, heads, kv_heads, causal=True))
    full = SelfAttention(dim, heads, causal=True)

    def repeated(parameter):
        groups = parameter.unflatten(0, (kv_heads, -1))
        return groups.repeat_interleave(heads // kv_heads, dim=0).flatten(0, 1)

    full.load_state_dict(
        {
            name: repeated(parameter) if name.startswith(("key.", "value.")) else parameter
            for name, parameter in grouped.state_dict().items()
        }
    )
    captured = [capture(grouped), capture(full)] if explicit else [[], []]
    x = torch.randn(2, 5, dim)
    y, state = grouped(x)
    assert_close(y, full(x)[0])
    assert_close(*captured)
    assert state.keys.shape == state.values.shape == (2, kv_heads, 5, dim // heads)


@fused_and_explicit
def test_weights_are_dropped_in_training_only(explicit):
    attention = randomise(SelfAttention(8, 2, dropout=0.5))
    if explicit:
        capture(attention)
    x = torch.randn(2, 6, 8)
    dropped, _ = attention(x)
    evaluated, _ = attention.eval()(x)
    attention.dropout = 0.0
    undropped, _ = attention.train()(x)
    assert torch.equal(evaluated, undropped)
    assert not torch.allclose(dropped, undropped)


def test_captured_weights_are_those_before_dropout():
    attention = SelfAttention(8, 2, dropout=0.5)
    captured = capture(attention)
    attention(torch.randn(2, 6, 8))
    assert_close(captured[0].sum(dim=-1), torch.ones(2, 2, 6))


def test_qk_norm_gives_the_queries_and_keys_of_each_head_one_size():
    attention = randomise(SelfAttention(8, 2, qk_norm=True))
    x = 10 * torch.randn(3, 5, 8)

    def normalised(linear, norm):
        heads = linear(x).unflatten(-1, (2, 4)).transpose(1, 2)
        return heads / heads.square().mean(dim=-1, keepdim=True).sqrt() * norm.weight

    q = normalised(attention.query, attention.query_norm)
    k = normalised(attention.key, attention.key_norm)
    heads = F.scaled_dot_product_attention(q, k, attention.keys_and_values(x)[1])
    assert_close(attention(x)[0], attention.output(heads.transpose(1, 2).flatten(2)))


@fused_and_explicit
def test_alibi_is_added_to_the_scores(explicit):
    attention = randomise(SelfAttention(8, 4, causal=True, position=ALiBi(4)))
    if explicit:
        capture(attention)
    x = torch.randn(2, 5, 8)
    q, (k, v) = attention.queries(x), attention.keys_and_values(x)
    slopes = [2**-2, 2**-4, 2**-6, 2**-8]
    bias = torch.tensor([[[-m * abs(i - j) for j in range(5)] for i in range(5)] for m in slopes])
    bias = bias.masked_fill(~may_attend(5, 5, causal=True)[0], -torch.inf)
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    assert_close(attention(x)[0], attention.output(heads.transpose(1, 2).flatten(2)))


def test_rotary_turns_queries_and_keys_but_not_values():
    rotary = Rotary(4, context=8)
    attention = randomise(SelfAttention(8, 2, causal=True, position=rotary))
    x = torch.randn(2, 5, 8)
    q, (k, v) = attention.queries(x), attention.keys_and_values(x)
    heads = F.scaled_dot_product_attention(rotary(q), rotary(k), v, is_causal=True)
    assert_close(attention(x)[0], attention.output(heads.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize(
    ("heads", "kv_heads", "message"),
    [
        (5, None, r"heads=5 does not divide dim=12; heads may be one of \[1, 2, 3, 4, 6, 12\]"),
        (6, 4, r"kv_heads=4 does not divide heads=6; kv_heads may be one of \[1, 2, 3, 6\]"),
    ],
)
def test_heads_that_do_not_divide_are_refused_with_those_that_do(heads, kv_heads, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(12, heads, kv_heads)


def test_nothing_is_captured_unless_asked_for():
    """Records are handed over while `on_attention` is set, and the outputs stay what they are."""
    attention, x = randomise(SelfAttention(8, 2)), torch.randn(2, 6, 8)
    captured = capture(attention)
    explicit, _ = attention(x)
    attention.on_attention = None
    fused, _ = attention(x)
    assert [weights.shape for weights in captured] == [(2, 2, 6, 6)]
    assert_close(fused, explicit)


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="window=0"):
        SelfAttention(8, 2, window=0)
