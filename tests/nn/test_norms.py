"""RMSNorm against torch's own: values and gradients, in every layout and type."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitx.nn.norms import RMSNorm


def pair(dim, dtype=torch.float32, eps=None):
    """Our norm and torch's, with the same weights."""
    torch.manual_seed(dim)
    ours, theirs = RMSNorm(dim, eps=eps, dtype=dtype), nn.RMSNorm(dim, eps=eps, dtype=dtype)
    ours.weight.data.normal_()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def results(norm, x, g):
    """The output, and the gradients of x and of the weights."""
    x = x.detach().requires_grad_()
    y = norm(x)
    return y, *torch.autograd.grad(y, [x, norm.weight], g)


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    size=st.sampled_from([1e-6, 1.0, 1e4]),
    eps=st.sampled_from([None, 1e-5]),
)
@settings(deadline=None, max_examples=50)
def test_is_torchs(shape, size, eps):
    ours, theirs = pair(shape[-1], torch.float64, eps)
    x = size * torch.randn(shape, dtype=torch.float64)
    g = torch.randn(shape, dtype=torch.float64)
    # The terms of dx may cancel: an error is relative to the terms, (g w) / sqrt(mean(x^2) + eps).
    terms = (g * ours.weight).abs().max() * theirs(x).abs().max() / x.abs().max()
    for one, other in zip(results(ours, x, g), results(theirs, x, g), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12 * float(terms + 1))


def test_gradients_are_those_of_finite_differences():
    ours, _ = pair(5, torch.float64)
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ours, x)
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(ours, {"weight": weight}, x.detach()), ours.weight
    )


def test_any_layout_is_read():
    """Heads arrive as a slice of a larger product, transposed."""
    ours, theirs = pair(4)
    x = torch.randn(2, 5, 3, 4, 2)[..., 0].transpose(1, 2)
    g = torch.randn(2, 5, 3, 4).transpose(1, 2)
    for one, other in zip(results(ours, x, g), results(theirs, x, g), strict=True):
        torch.testing.assert_close(one, other)


def test_zeros_stay_zeros_and_gradients_finite():
    ours, _ = pair(4)
    y, dx, dweight = results(ours, torch.zeros(2, 4), torch.ones(2, 4))
    assert (y == 0).all()
    assert dx.isfinite().all()
    assert (dweight == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_torchs(dtype):
    """Inputs of half precision, with weights of the same and, as under autocast, of float32."""
    for weights in (dtype, torch.float32):
        ours, theirs = pair(8, weights)
        x, g = torch.randn(3, 8).to(dtype), torch.ones(3, 8).to(torch.promote_types(dtype, weights))
        for one, other in zip(results(ours, x, g), results(theirs, x, g), strict=True):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)
def test_an_input_in_bfloat16_has_weights_in_float32(device):
    """As under autocast. An output is as exact as its type: 8 bits for the weight, 8 for itself."""
    ours, theirs = (norm.to(device) for norm in pair(16))
    x = torch.randn(50, 16, device=device).bfloat16()
    y = ours(x)
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(y.float(), theirs(x.float()), rtol=3 * 2**-8, atol=1e-6)
    y.float().sum().backward()
    assert ours.weight.grad.dtype is torch.float32
