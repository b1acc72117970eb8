"""Test gated linear attention against a plain loop in float64, written from the formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import assert_float32_is_near, assert_is_the_loop, assert_near
from references import randomise, real_tokens

from minitx.nn.gated_linear import GatedLinearAttention
from minitx.nn.init import initialise
from minitx.nn.mixers import Shape, find_builder

gated_or_fixed = pytest.mark.parametrize("gated", [True, False], ids=["gated", "fixed"])


def by_loop(mixer, x, state=None):
    """The outputs of a mixer, step by step, and its state."""
    q, k, v = (each(x).unflatten(-1, (mixer.heads, -1)) for each in parts(mixer))
    if mixer.gated:
        low = x @ mixer.decay[0].weight.T
        z = low @ mixer.decay[1].weight.T + mixer.decay[1].bias
        a = (z.sigmoid() ** (1 / 16)).view_as(k)
    else:
        fixed = [[1 - 2.0 ** (-5 - head)] for head in range(mixer.heads)]
        a = torch.tensor(fixed, dtype=x.dtype).expand_as(k)
    if state is None:
        state = x.new_zeros(len(x), mixer.heads, mixer.key_dim, mixer.value_dim)
    outputs = []
    for t in range(x.size(1)):
        state = a[:, t, :, :, None] * state + k[:, t, :, :, None] * v[:, t, :, None, :]
        y = (q[:, t, :, None, :] @ state).squeeze(-2)  # (B, H, V)
        y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight
        r = x[:, t] @ mixer.gate.weight.T + mixer.gate.bias
        outputs.append((y.flatten(1) * r * r.sigmoid()) @ mixer.output.weight.T)
    return torch.stack(outputs, dim=1), state


def parts(mixer):
    return mixer.query, mixer.key, mixer.value


@gated_or_fixed
@settings(deadline=None, max_examples=10)
@given(
    heads=st.integers(1, 3),
    key_dim=st.integers(1, 4),
    value_dim=st.integers(1, 3),
    time=st.sampled_from([1, 2, 17, 64, 65, 150]),
    continued=st.booleans(),
)
def test_the_parallel_form_is_the_loop(gated, heads, key_dim, value_dim, time, continued):
    mixer = randomise(GatedLinearAttention(5, heads, key_dim, value_dim, gated=gated)).double()
    state = torch.randn(2, heads, key_dim, value_dim).double() if continued else None
    assert_is_the_loop(mixer, by_loop, time, state)


@gated_or_fixed
def test_one_token_at_a_time_is_the_loop(gated):
    mixer = randomise(GatedLinearAttention(6, 2, 3, 4, gated=gated)).double()
    x = torch.randn(2, 70, 6, dtype=torch.float64)
    state, outputs = None, []
    for token in x.split(1, dim=1):
        y, state = mixer(token, state=state)
        outputs.append(y)
    assert_near((torch.cat(outputs, dim=1), state), by_loop(mixer, x), 1e-10)


@gated_or_fixed
@pytest.mark.parametrize("std", [0.1, 1.0])
def test_float32_is_near_float64(gated, std):
    mixer = GatedLinearAttention(16, 2, 8, 8, gated=gated)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=std)
    assert_float32_is_near(mixer, by_loop, 500)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both directions"])
@pytest.mark.parametrize("decay", ["gated", "fixed"])
def test_the_implicit_map_is_what_is_mixed(causal, decay):
    build = find_builder("gated_linear")(Shape(8, 32, causal), heads=4, state_dim=3, decay=decay)
    mixer = randomise(build())
    x, padding = torch.randn(2, 9, 8), real_tokens([9, 4], 9)
    weights, values = mixer.implicit_map(x, padding)
    assert weights.shape == (2, 4, 9, 9)
    assert values.shape == (2, 4, 9, 2)
    assert (weights.triu(1) == 0).all() == causal
    assert (weights[1, :, :, 4:] == 0).all()
    halves = [mixer] if causal else [mixer.forwards, mixer.backwards]
    result = 0
    for half, y in zip(halves, (weights @ values).chunk(len(halves), dim=1), strict=True):
        y = half.norm(y.transpose(1, 2)).flatten(-2)
        result = result + half.output(y * torch.nn.functional.silu(half.gate(x)))
    assert_near([mixer(x, padding)[0]], [result], 1e-5)


def test_two_directions_read_from_both_ends():
    mixer = randomise(
        find_builder("gated_linear")(
            Shape(8, 32, causal=False), heads=2, state_dim=None, decay="gated"
        )()
    ).double()
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    backwards, _ = by_loop(mixer.backwards, x.flip(1))
    expected = by_loop(mixer.forwards, x)[0] + backwards.flip(1)
    assert_near([mixer(x)[0]], [expected], 1e-10)
    with pytest.raises(ValueError, match="cannot continue"):
        mixer(x, state=torch.zeros(1))


def test_decays_start_near_one():
    torch.manual_seed(0)
    mixer = GatedLinearAttention(64, 4, 8, 16)
    initialise(mixer, layers=2)
    g = mixer._terms(torch.randn(1, 500, 64), None)[-1]
    assert g.exp().mean().item() == pytest.approx(0.5 ** (1 / 16), abs=1e-3)
    assert mixer.output.weight.std().item() == pytest.approx(0.02 / 2, rel=0.05)
    fixed = GatedLinearAttention(64, 4, 8, 16, gated=False)._terms(torch.randn(1, 2, 64), None)[-1]
    torch.testing.assert_close(
        fixed[0, :, 0, 0].exp(), torch.tensor([31 / 32, 63 / 64, 127 / 128, 255 / 256])
    )


@pytest.mark.parametrize(
    ("heads", "causal", "message"),
    [
        (3, True, r"heads=3 does not divide dim=8; heads may be one of \[1, 2, 4, 8\]"),
        (1, False, "heads=1: two directions halve the heads, so it must be even"),
    ],
)
def test_heads_that_do_not_fit_are_refused(heads, causal, message):
    with pytest.raises(ValueError, match=message):
        find_builder("gated_linear")(Shape(8, 32, causal), heads=heads, state_dim=2, decay="gated")
