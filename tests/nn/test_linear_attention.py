"""Test linear attention in chunks against a plain loop, and that nothing in it overflows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import assert_near
from references import examples

from minitx.nn.linear_attention import CHUNK, decayed_products, linear_attention


def by_loop(q, k, v, g, state):
    outputs = []
    for t in range(q.size(2)):
        step = k[:, :, t, :, None] * v[:, :, t, None, :]
        state = g[:, :, t].exp()[..., None] * state + step
        outputs.append((q[:, :, t, None] @ state)[:, :, 0])
    return torch.stack(outputs, dim=2), state


def terms(time, keys, values, decays, strength, dtype=torch.float64):
    """Random q, k, v, g and a state. The decays are mild, or so strong that exp(-g) overflows."""
    q, k, v, g = (
        torch.randn(2, 3, time, size, dtype=dtype) for size in (keys, keys, values, decays)
    )
    state = torch.randn(2, 3, keys, values, dtype=dtype)
    return [each.requires_grad_() for each in (q, k, v, -strength * g.square(), state)]


VECTOR_OR_SCALAR = pytest.mark.parametrize("vector", [True, False], ids=["vector", "scalar"])


@VECTOR_OR_SCALAR
@examples
@given(
    time=st.integers(1, 40),
    chunk=st.integers(1, 45),
    keys=st.integers(1, 5),
    values=st.integers(1, 4),
    strength=st.sampled_from([0.0, 0.01, 1.0, 300.0]),
)
def test_chunks_are_the_loop(vector, time, chunk, keys, values, strength):
    inputs = terms(time, keys, values, keys if vector else 1, strength)
    found, expected = linear_attention(*inputs, chunk), by_loop(*inputs)
    assert_near(found, expected, 1e-10)
    upstream = [torch.randn_like(part) for part in expected]
    gradients = (torch.autograd.grad(each, inputs, upstream) for each in (found, expected))
    assert_near(*gradients, 1e-10)


@VECTOR_OR_SCALAR
@pytest.mark.parametrize("strength", [0.001, 1.0, 1e4])
def test_float32_is_near_the_loop_over_many_chunks(vector, strength):
    inputs = terms(5 * CHUNK + 3, 4, 3, 4 if vector else 1, strength, torch.float32)
    double = [each.detach().double().requires_grad_() for each in inputs]
    found, expected = linear_attention(*inputs), by_loop(*double)
    assert_near([each.double() for each in found], expected, 1e-4)
    upstream = [torch.randn_like(part) for part in expected]
    gradients = torch.autograd.grad(found, inputs, [each.float() for each in upstream])
    assert_near(
        [each.double() for each in gradients], torch.autograd.grad(expected, double, upstream), 1e-4
    )


@VECTOR_OR_SCALAR
def test_digits_survive_a_step_that_forgets_everything(vector):
    """Sums of g from the start would have none left after it."""
    q, k, v, g, state = terms(CHUNK, 4, 3, 4 if vector else 1, 0.01, torch.float32)
    with torch.no_grad():
        g[:, :, 5] = -1e8
    found = linear_attention(q, k, v, g, state)
    assert_near(
        [each.double() for each in found], by_loop(*(e.double() for e in (q, k, v, g, state))), 1e-5
    )


@VECTOR_OR_SCALAR
@examples
@given(time=st.integers(1, 20), keys=st.integers(1, 4))
def test_the_weights_times_the_values_are_the_outputs(vector, time, keys):
    q, k, v, g, _ = terms(time, keys, 3, keys if vector else 1, 1.0)
    weights = decayed_products(q, k, g)
    assert weights.shape == (2, 3, time, time)
    assert (weights.triu(1) == 0).all()
    assert_near([weights @ v], [linear_attention(q, k, v, g)[0]], 1e-10)
