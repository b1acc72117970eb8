"""Test gated linear attention against a plain loop in float64, written from the formula."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import assert_float32_is_near, assert_is_the_loop, assert_near, one_at_a_time
from references import randomise, real_tokens

from minitx.nn.gated_linear import GatedLinearAttention, LinearState
from minitx.nn.init import initialise

gated_or_fixed = pytest.mark.parametrize("decay", ["gated", "fixed"])


def by_loop(mixer, x, state=None):
    """The outputs of a mixer, step by step, and its state."""
    maps = mixer.query, mixer.key, mixer.value
    qkv = torch.cat([each(x).unflatten(-1, (mixer.heads, -1)) for each in maps], dim=-1).flatten(2)
    values, inputs = (None, None) if state is None else state
    if mixer.convolution is not None:
        size = mixer.convolution.size
        if inputs is None:
            inputs = x.new_zeros(len(x), size - 1, qkv.size(-1))
        read = torch.cat([inputs, qkv], dim=1)
        windows = [read[:, t : t + size] for t in range(x.size(1))]
        qkv = torch.stack([(each * mixer.convolution.weight).sum(1) for each in windows], dim=1)
        qkv, inputs = qkv * qkv.sigmoid(), read[:, x.size(1) :]
    q, k, v = qkv.unflatten(-1, (mixer.heads, -1)).split(mixer.widths, dim=-1)
    if mixer.decay is not None:
        low = x @ mixer.decay[0].weight.T
        z = low @ mixer.decay[1].weight.T + mixer.decay[1].bias
        a = (z.sigmoid() ** (1 / 16)).view_as(k)
    else:
        fixed = [[1 - 2.0 ** (-5 - head)] for head in range(mixer.heads)]
        a = torch.tensor(fixed, dtype=x.dtype).expand_as(k)
    if values is None:
        values = x.new_zeros(len(x), mixer.heads, mixer.key_dim, mixer.value_dim)
    outputs = []
    for t in range(x.size(1)):
        values = a[:, t, :, :, None] * values + k[:, t, :, :, None] * v[:, t, :, None, :]
        y = (q[:, t, :, None, :] @ values).squeeze(-2)  # (B, H, V)
        y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight
        r = x[:, t] @ mixer.gate.weight.T + mixer.gate.bias
        outputs.append((y.flatten(1) * r * r.sigmoid()) @ mixer.output.weight.T)
    return torch.stack(outputs, dim=1), LinearState(values, inputs)


@gated_or_fixed
@settings(deadline=None, max_examples=10)
@given(
    heads=st.integers(1, 3),
    value_dim=st.integers(1, 3),
    state_dim=st.none() | st.integers(1, 4),
    convolution=st.sampled_from([1, 2, 4]),
    time=st.sampled_from([1, 2, 17, 64, 65, 150]),
    continued=st.booleans(),
)
def test_the_parallel_form_is_the_loop(
    decay, heads, value_dim, state_dim, convolution, time, continued
):
    dim = heads * value_dim
    mixer = randomise(GatedLinearAttention(dim, heads, state_dim, decay, convolution)).double()
    state = None
    if continued:
        values = torch.randn(2, heads, mixer.key_dim, value_dim).double()
        inputs = torch.randn(2, convolution - 1, heads * sum(mixer.widths)).double()
        state = LinearState(values, inputs if convolution > 1 else None)
    assert_is_the_loop(mixer, by_loop, time, state)


@gated_or_fixed
def test_one_token_at_a_time_is_the_loop(decay):
    mixer = randomise(GatedLinearAttention(6, 2, 4, decay)).double()
    x = torch.randn(2, 70, 6, dtype=torch.float64)
    assert_near(one_at_a_time(mixer, x), by_loop(mixer, x), 1e-10)


@gated_or_fixed
@pytest.mark.parametrize("std", [0.1, 1.0])
def test_float32_is_near_float64(decay, std):
    mixer = GatedLinearAttention(16, 2, 8, decay)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=std)
    assert_float32_is_near(mixer, by_loop, 500)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both directions"])
@gated_or_fixed
def test_the_implicit_map_is_what_is_mixed(causal, decay):
    mixer = randomise(GatedLinearAttention(8, 4, 3, decay, causal=causal))
    x, padding = torch.randn(2, 9, 8), real_tokens([9, 4], 9)
    weights, values = mixer.implicit_map(x, padding)
    assert weights.shape == (2, 4, 9, 9)
    assert values.shape == (2, 4, 9, 2)
    assert (weights[:, :2].triu(1) == 0).all()
    assert (weights[:, 2:].triu(1) == 0).all() == causal
    assert (weights[:, 2:].tril(-1) == 0).all() != causal
    assert (weights[1, :, :, 4:] == 0).all()
    y = mixer.norm((weights @ values).transpose(1, 2)).flatten(2) * padding[..., None]
    assert_near([mixer(x, padding)[0]], [mixer.output(y * F.silu(mixer.gate(x)))], 1e-5)


@gated_or_fixed
def test_half_of_the_heads_read_backwards(decay):
    """The map of a head that reads backwards is that of its mirror image, in a mirror."""
    mixer = randomise(GatedLinearAttention(6, 2, 3, decay, causal=False)).double()
    x = torch.randn(2, 9, 6, dtype=torch.float64)
    found = mixer.implicit_map(x)
    mixer.causal = True
    (weights, values), forwards = mixer.implicit_map(x.flip(1)), mixer.implicit_map(x)
    assert_near([part[:, 0] for part in found], [part[:, 0] for part in forwards], 1e-10)
    backwards = weights[:, 1].flip(1, 2), values[:, 1].flip(1)
    assert_near([part[:, 1] for part in found], backwards, 1e-10)


def test_decays_start_near_one():
    torch.manual_seed(0)
    mixer = GatedLinearAttention(64, 4)
    initialise(mixer, layers=2)
    g = mixer._terms(torch.randn(1, 500, 64), None)[0][-1]
    assert g.exp().mean().item() == pytest.approx(0.5 ** (1 / 16), abs=1e-3)
    assert mixer.output.weight.std().item() == pytest.approx(0.02 / 2, rel=0.05)
    fixed = GatedLinearAttention(64, 4, decay="fixed")._terms(torch.randn(1, 2, 64), None)[0][-1]
    expected = torch.tensor([31 / 32, 63 / 64, 127 / 128, 255 / 256])  # 1 - 2^(-5-h)
    torch.testing.assert_close(fixed[0, :, 0, 0].exp(), expected)
