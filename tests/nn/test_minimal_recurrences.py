"""Test minGRU and minLSTM against plain loops in float64, written from the formulas."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.nn.minimal_recurrences import CHUNK, MinGRU, MinLSTM, linear_recurrence

KINDS = pytest.mark.parametrize("kind", [MinGRU, MinLSTM])


def candidate(x):
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def by_loop(mixer, x, state=None):
    """The outputs of a causal mixer, step by step."""
    maps = mixer.to_gates.weight.chunk(mixer.gates), mixer.to_gates.bias.chunk(mixer.gates)
    *gates, inner = (x @ weight.T + bias for weight, bias in zip(*maps, strict=True))
    h = x.new_zeros(len(x), mixer.width) if state is None else state
    outputs = []
    for t in range(x.size(1)):
        if isinstance(mixer, MinGRU):
            z = gates[0][:, t].sigmoid()
            h = (1 - z) * h + z * candidate(inner[:, t])
        else:
            forget, keep = (gate[:, t].sigmoid() for gate in gates)
            total = forget + keep
            h = forget / total * h + keep / total * candidate(inner[:, t])
        outputs.append(h @ mixer.output.weight.T)
    return torch.stack(outputs, dim=1), h


def spread(mixer, factor):
    """Make gates that open and close, not only ones near one half."""
    with torch.no_grad():
        mixer.to_gates.weight *= factor
    return mixer


@KINDS
@settings(deadline=None, max_examples=15)
@given(
    dim=st.sampled_from([2, 6]),
    expansion=st.integers(1, 3),
    time=st.integers(1, 3 * CHUNK + 5),
    factor=st.sampled_from([0.1, 1.0, 30.0]),
    continued=st.booleans(),
)
def test_the_parallel_form_is_the_loop(kind, dim, expansion, time, factor, continued):
    mixer = spread(kind(dim, expansion).double(), factor)
    x = torch.randn(2, time, dim, dtype=torch.float64, requires_grad=True)
    state = torch.rand(2, mixer.width, dtype=torch.float64) if continued else None
    found, expected = mixer(x, state=state), by_loop(mixer, x, state)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    inputs = [x, *mixer.parameters()]
    wanted = torch.randn_like(found[0])
    gradients = (torch.autograd.grad(y, inputs, wanted) for y, _ in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(
            one, other, rtol=1e-10, atol=1e-10 * float(other.abs().max() + 1)
        )


@KINDS
def test_float32_is_near_float64(kind):
    mixer = spread(kind(16), 3.0)
    x = torch.randn(2, 1000, 16)
    y, _ = mixer(x)
    expected, _ = by_loop(mixer.double(), x.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)


@KINDS
def test_half_of_a_state_in_two_directions_runs_backwards(kind):
    mixer = kind(4, 2, causal=False).double()
    x = torch.randn(3, 9, 4, dtype=torch.float64)
    weight, bias = mixer.to_gates.weight, mixer.to_gates.bias
    halves = []
    for half in range(2):
        part = kind(4, 1).double()
        rows = torch.arange(2 * mixer.gates).view(-1, 2)[:, half]
        with torch.no_grad():
            part.to_gates.weight.copy_(weight.view(-1, 4, 4)[rows].flatten(0, 1))
            part.to_gates.bias.copy_(bias.view(-1, 4)[rows].flatten())
            part.output.weight.copy_(mixer.output.weight[:, 4 * half : 4 * half + 4])
        inputs = x.flip(1) if half else x
        y, _ = by_loop(part, inputs)
        halves.append(y.flip(1) if half else y)
    torch.testing.assert_close(mixer(x)[0], sum(halves), rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="dim=5 must be even"):
        kind(5, causal=False)


def test_a_state_is_kept_if_gates_are_closed():
    """a = 1 and b = 0 everywhere, over thousands of steps, is the identity."""
    time = 40 * CHUNK
    log_a, log_b = torch.zeros(1, time, 1), torch.full((1, time, 1), -1e4)
    log_b[0, 3] = 0.0
    h = linear_recurrence(log_a, log_b)[0, :, 0]
    assert h[:3].tolist() == [0, 0, 0]
    torch.testing.assert_close(h[3:], torch.ones(time - 3))
