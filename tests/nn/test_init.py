"""Test the initialization of weights."""

import math

import pytest
import torch
from torch import nn

from minitx.nn.attention import CrossAttention, SelfAttention
from minitx.nn.baseline_mixers import Average
from minitx.nn.blocks import Block, Stack
from minitx.nn.feedforward import FeedForward
from minitx.nn.init import initialise
from minitx.nn.recurrent import CELLS, Recurrence

DIM = 128  # the standard deviation of DIM * DIM numbers is within 3 % of the true one


def block(mixer):
    return Block(DIM, mixer, FeedForward(DIM, DIM, gated=True))


@pytest.mark.parametrize("layers", [2, 8])
def test_transformers_start_as_gpt2(layers):
    mixers = [SelfAttention(DIM, 4, qk_norm=True), Average(DIM)]
    stack = Stack([block(mixer) for mixer in mixers], nn.LayerNorm(DIM))
    model = nn.ModuleList([nn.Embedding(DIM, DIM), stack])
    initialise(model, layers)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            into_stream = name.endswith(("output.weight", "down.weight"))
            std = 0.02 / math.sqrt(2 * layers) if into_stream else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.03), name
            assert parameter.mean().abs().item() < 0.05 * std, name


def test_encoders_and_decoders_start_by_glorots_rule():
    cross = CrossAttention(DIM, 4, kv_heads=2)
    decoder = Block(DIM, SelfAttention(DIM, 4), FeedForward(DIM, 4 * DIM), cross)
    initialise(decoder, layers=2, glorot=True)
    for name, parameter in decoder.named_parameters():
        if parameter.ndim == 2:
            bound = math.sqrt(6 / sum(parameter.shape))
            assert parameter.abs().max().item() == pytest.approx(bound, rel=0.01), name
            assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03), name
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrences_start_uniform(cell, bidirectional):
    layer = Recurrence(DIM, cell, bidirectional=bidirectional)
    width = layer.cell.hidden_size
    initialise(layer, layers=1)
    for name, parameter in layer.cell.named_parameters():
        if name.startswith("weight"):
            assert parameter.abs().max().item() == pytest.approx(1 / math.sqrt(width), rel=0.01)
            assert parameter.std().item() == pytest.approx(1 / math.sqrt(3 * width), rel=0.03)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_forget_gates_start_with_a_bias_of_one(bidirectional):
    layer = Recurrence(DIM, "lstm", bidirectional=bidirectional)
    initialise(layer, layers=1)
    for direction in ["", "_reverse"][: 1 + bidirectional]:
        biases = (getattr(layer.cell, f"bias_{kind}_l0{direction}") for kind in ("ih", "hh"))
        gates = torch.stack(sum(biases).chunk(4))  # torch's order: input, forget, cell, output
        assert (gates[1] == 1).all()
        assert (gates[[0, 2, 3]] < 1).all()
