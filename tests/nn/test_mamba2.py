"""Test Mamba2 against a plain loop in float64, written from the formula."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import assert_float32_is_near, assert_is_the_loop, assert_near, one_at_a_time
from references import randomise, real_tokens

from minitx.nn.init import initialise
from minitx.nn.mamba2 import Mamba2, SSMState


def by_loop(mixer, u, state=None):
    """The outputs of a causal mixer, step by step, and its state."""
    size, heads = mixer.convolution.size, mixer.heads
    h = u.new_zeros(len(u), heads, mixer.key_dim, mixer.value_dim) if state is None else state.h
    inputs = mixer.to_inputs(u)
    before = inputs.new_zeros(len(u), size - 1, inputs.size(-1)) if state is None else state.inputs
    inputs = torch.cat([before, inputs], dim=1)
    outputs = []
    for t in range(u.size(1)):
        latest = inputs[:, t : t + size]
        read = (latest * mixer.convolution.weight).sum(1) + mixer.convolution.bias
        read = read * read.sigmoid()
        x, b, c = read.split([heads * mixer.value_dim, mixer.key_dim, mixer.key_dim], dim=-1)
        x = x.unflatten(-1, (heads, -1))  # (B, H, V)
        step = (1 + (u[:, t] @ mixer.to_step.weight.T + mixer.step_bias).exp()).log()[..., None]
        decay = (-mixer.log_rate.exp()[:, None] * step).exp()[..., None]
        h = decay * h + b[:, None, :, None] * (step * x)[:, :, None]
        y = (c[:, None, None] @ h)[:, :, 0] + mixer.skip[:, None] * x
        z = mixer.gate(u[:, t])
        y = y.flatten(1) * z * z.sigmoid()
        y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight
        outputs.append(mixer.output(y))
    return torch.stack(outputs, dim=1), SSMState(h, inputs[:, u.size(1) :])


@settings(deadline=None, max_examples=20)
@given(
    heads=st.integers(1, 3),
    width=st.integers(1, 3),
    expansion=st.integers(1, 2),
    state_dim=st.integers(1, 4),
    convolution=st.integers(1, 4),
    time=st.sampled_from([1, 2, 17, 64, 65, 150]),
    continued=st.booleans(),
)
def test_the_parallel_form_is_the_loop(
    heads, width, expansion, state_dim, convolution, time, continued
):
    dim = heads * width
    mixer = randomise(Mamba2(dim, heads, expansion, state_dim, convolution)).double()
    state = None
    if continued:
        h = torch.randn(2, heads, state_dim, mixer.value_dim)
        inputs = torch.randn(2, convolution - 1, mixer.to_inputs.out_features)
        state = SSMState(h.double(), inputs.double())
    assert_is_the_loop(mixer, by_loop, time, state)


def test_one_token_at_a_time_is_the_loop():
    mixer = randomise(Mamba2(6, 2, 2, 4)).double()
    u = torch.randn(2, 70, 6, dtype=torch.float64)
    assert_near(one_at_a_time(mixer, u), by_loop(mixer, u), 1e-10)


@pytest.mark.parametrize("std", [0.1, 1.0])
def test_float32_is_near_float64(std):
    mixer = Mamba2(16, 2, 1, 8)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=std)
    assert_float32_is_near(mixer, by_loop, 500)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both directions"])
def test_the_implicit_map_is_what_is_mixed(causal):
    mixer = randomise(Mamba2(8, 4, 2, 3, causal=causal))
    u, padding = torch.randn(2, 9, 8), real_tokens([9, 4], 9)
    weights, values = mixer.implicit_map(u, padding)
    assert weights.shape == (2, 4, 9, 9)
    assert values.shape == (2, 4, 9, 4)
    assert (weights[:, :2].triu(1) == 0).all()
    assert (weights[:, 2:].triu(1) == 0).all() == causal
    assert (weights[:, 2:].tril(-1) == 0).all() != causal
    assert (weights[1, :, :, 4:] == 0).all()
    y = (weights @ values).transpose(1, 2).flatten(2) * padding[..., None]
    assert_near([mixer(u, padding)[0]], [mixer.output(mixer.norm(y * F.silu(mixer.gate(u))))], 1e-5)


def test_half_of_the_heads_read_backwards():
    """With the same weights for both halves, the second reads what the first reads in a mirror."""
    mixer = randomise(Mamba2(4, 2, 2, 3, causal=False)).double()
    per_direction = mixer.to_inputs, mixer.convolution, mixer.to_step
    with torch.no_grad():
        for part in (*per_direction[0].parameters(), *per_direction[2].parameters()):
            part.copy_(part.chunk(2)[0].repeat(2, 1))
        for part in mixer.convolution.parameters():
            part.copy_(torch.cat([part.chunk(2, dim=-1)[0]] * 2, dim=-1))
        for part in mixer.step_bias, mixer.log_rate, mixer.skip:
            part.fill_(0.3)
    u = torch.randn(2, 9, 4, dtype=torch.float64)
    weights, values = mixer.implicit_map(u)
    mirrored_weights, mirrored_values = mixer.implicit_map(u.flip(1))
    assert_near(
        [weights[:, 1], values[:, 1]],
        [mirrored_weights[:, 0].flip(1, 2), mirrored_values[:, 0].flip(1)],
        1e-10,
    )


def test_it_starts_as_in_the_paper():
    torch.manual_seed(0)
    mixer = Mamba2(2000, 1000)
    initialise(mixer, layers=2)
    steps = F.softplus(mixer.step_bias)
    assert steps.min().item() == pytest.approx(0.001, rel=0.05)
    assert steps.max().item() == pytest.approx(0.1, rel=0.05)
    assert steps.log().mean().item() == pytest.approx(torch.tensor(0.01).log().item(), abs=0.15)
    rates = mixer.log_rate.exp()
    assert rates.min().item() == pytest.approx(1, abs=0.1)
    assert rates.max().item() == pytest.approx(16, abs=0.1)
    assert rates.mean().item() == pytest.approx(8.5, abs=0.5)
    assert (mixer.skip == 1).all()
    assert mixer.output.weight.std().item() == pytest.approx(0.02 / 2, rel=0.02)
