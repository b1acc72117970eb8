"""Test the residual blocks."""

import pytest
import torch
from references import (
    assert_close,
    assert_same,
    block_pairs,
    capture,
    copy_weights,
    randomise,
    real_tokens,
    stack_pairs,
)
from torch import nn

from minitx.nn.attention import CrossAttention, SelfAttention
from minitx.nn.blocks import Block, Stack
from minitx.nn.feedforward import FeedForward

BATCH, TIME, DIM, HEADS, FF_DIM = 3, 6, 8, 2, 20
LENGTHS = [6, 4, 1]

fused_and_explicit = pytest.mark.parametrize("explicit", [False, True], ids=["fused", "explicit"])
norm_orders = pytest.mark.parametrize("norm_order", ["pre", "post"])
activations = pytest.mark.parametrize("activation", ["relu", "gelu"])
masked = pytest.mark.parametrize(
    ("causal", "padded"),
    [(False, False), (False, True), (True, False), (True, True)],
    ids=["full", "padding", "causal", "causal+padding"],
)


def our_block(activation, norm_order, causal, cross=False):
    return Block(
        DIM,
        SelfAttention(DIM, HEADS, causal=causal),
        FeedForward(DIM, FF_DIM, activation),
        CrossAttention(DIM, HEADS) if cross else None,
        norm_order=norm_order,
    )


def their_layer(kind, activation, norm_order):
    return kind(
        DIM,
        HEADS,
        FF_DIM,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=norm_order == "pre",
    )


def inputs_and_masks(causal, padded):
    """x, our padding, and torch's two masks, in which True = may not attend."""
    x = torch.randn(BATCH, TIME, DIM, requires_grad=True)
    padding = real_tokens(LENGTHS, TIME) if padded else None
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1) if causal else None
    return x, padding, later, None if padding is None else ~padding


@fused_and_explicit
@masked
@activations
@norm_orders
def test_a_block_is_torchs_encoder_layer(norm_order, activation, causal, padded, explicit):
    ours = randomise(our_block(activation, norm_order, causal))
    theirs = their_layer(nn.TransformerEncoderLayer, activation, norm_order)
    pairs = block_pairs(ours)
    copy_weights(pairs, theirs)
    if explicit:
        capture(ours.mixer)

    x, padding, later, not_real = inputs_and_masks(causal, padded)
    expected = theirs(x, src_mask=later, src_key_padding_mask=not_real)
    assert_same(ours(x, padding)[0], expected, (x,), pairs, theirs)


@fused_and_explicit
@masked
@activations
@norm_orders
def test_with_cross_attention_it_is_torchs_decoder_layer(
    norm_order, activation, causal, padded, explicit
):
    ours = randomise(our_block(activation, norm_order, causal, cross=True))
    theirs = their_layer(nn.TransformerDecoderLayer, activation, norm_order)
    pairs = block_pairs(ours)
    copy_weights(pairs, theirs)
    if explicit:
        capture(ours.mixer)
        capture(ours.cross)

    x, padding, later, not_real = inputs_and_masks(causal, padded)
    memory = torch.randn(BATCH, 5, DIM, requires_grad=True)
    memory_padding = real_tokens([2, 5, 3], 5)
    y, _ = ours(x, padding, memory=memory, memory_padding=memory_padding)
    expected = theirs(
        x,
        memory,
        tgt_mask=later,
        tgt_key_padding_mask=not_real,
        memory_key_padding_mask=~memory_padding,
    )
    assert_same(y, expected, (x, memory), pairs, theirs)


@norm_orders
def test_a_stack_is_torchs_encoder(norm_order):
    layers = 3
    blocks = [our_block("gelu", norm_order, causal=False) for _ in range(layers)]
    ours = randomise(Stack(blocks, nn.LayerNorm(DIM)))
    layer = their_layer(nn.TransformerEncoderLayer, "gelu", norm_order)
    theirs = nn.TransformerEncoder(layer, layers, nn.LayerNorm(DIM), enable_nested_tensor=False)
    pairs = stack_pairs(ours)
    copy_weights(pairs, theirs)

    x, padding, _, not_real = inputs_and_masks(causal=False, padded=True)
    y, state = ours(x, padding)
    assert_same(y, theirs(x, src_key_padding_mask=not_real), (x,), pairs, theirs)
    assert len(state) == layers


def test_a_decoder_continues_from_its_state_without_the_memory():
    block = randomise(our_block("gelu", "pre", causal=True, cross=True))
    x, memory = torch.randn(2, 6, DIM), torch.randn(2, 5, DIM)
    memory_padding = real_tokens([5, 2], 5)
    whole, _ = block(x, memory=memory, memory_padding=memory_padding)
    start, state = block(x[:, :2], memory=memory, memory_padding=memory_padding)
    rest, _ = block(x[:, 2:], state=state)
    assert_close(torch.cat([start, rest], dim=1), whole)


@norm_orders
def test_dropout_acts_on_what_a_sublayer_adds(norm_order):
    """With everything dropped, the stream passes through: as it is, or normalised."""
    block = our_block("gelu", norm_order, causal=False)
    for residual in block.mixer_residual, block.feed_forward_residual:
        residual.dropout.p = 1.0
    x = torch.randn(BATCH, TIME, DIM)
    normalise = nn.LayerNorm(DIM)
    assert_close(block(x)[0], x if norm_order == "pre" else normalise(normalise(x)))


@norm_orders
def test_without_a_residual_only_the_output_of_the_sublayer_remains(norm_order):
    parts = SelfAttention(DIM, HEADS), FeedForward(DIM, FF_DIM), CrossAttention(DIM, HEADS)
    block = randomise(Block(DIM, *parts, norm_order=norm_order, residual=False))
    x, memory = torch.randn(BATCH, TIME, DIM), torch.randn(BATCH, TIME, DIM)
    norms = [
        residual.norm
        for residual in (block.mixer_residual, block.cross_residual, block.feed_forward_residual)
    ]
    sublayers = (
        lambda x: block.mixer(x)[0],
        lambda x: block.cross(x, memory)[0],
        block.feed_forward,
    )
    expected = x
    for norm, sublayer in zip(norms, sublayers, strict=True):
        expected = sublayer(norm(expected)) if norm_order == "pre" else norm(sublayer(expected))
    assert_close(block(x, memory=memory)[0], expected)


@norm_orders
def test_without_a_feed_forward_the_mixer_is_the_only_sublayer(norm_order):
    block = randomise(Block(DIM, SelfAttention(DIM, HEADS), None, norm_order=norm_order))
    x, norm = torch.randn(BATCH, TIME, DIM), block.mixer_residual.norm
    pre = norm_order == "pre"
    expected = x + block.mixer(norm(x))[0] if pre else norm(x + block.mixer(x)[0])
    assert_close(block(x)[0], expected)
    assert not any("feed_forward" in name for name, _ in block.named_parameters())


def test_an_unknown_norm_order_is_refused():
    with pytest.raises(ValueError, match=r"norm_order='before'.*'pre' or 'post'"):
        our_block("gelu", "before", causal=False)
