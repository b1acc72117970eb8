"""Test the feed-forward."""

import pytest
import torch
import torch.nn.functional as F
from references import assert_close, randomise

from minitx.nn.activations import ACTIVATIONS
from minitx.nn.feedforward import FeedForward


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("gelu", lambda x: x * torch.distributions.Normal(0, 1).cdf(x)),
        ("silu", lambda x: x / (1 + (-x).exp())),
        ("relu2", lambda x: x.clamp(min=0) ** 2),
    ],
)
def test_activations_are_their_formulas(name, formula):
    x = torch.linspace(-4, 4, 33)
    assert_close(ACTIVATIONS[name](x), formula(x))


@pytest.mark.parametrize("bias", [False, True])
def test_swiglu_is_its_formula(bias):
    """Shazeer 2020, equation 6: (Swish(x W) * x V) W2."""
    layer = randomise(FeedForward(6, 10, "silu", gated=True, bias=bias))
    x = torch.randn(2, 3, 6)
    w, v, w2 = layer.gate, layer.up, layer.down
    hidden = F.silu(F.linear(x, w.weight, w.bias)) * F.linear(x, v.weight, v.bias)
    assert_close(layer(x), F.linear(hidden, w2.weight, w2.bias))


def test_positions_do_not_mix():
    layer = randomise(FeedForward(6, 10, "gelu"))
    x = torch.randn(2, 5, 6)
    assert_close(layer(x)[:, 3], layer(x[:, 3]))


def test_the_gradient_of_squared_relu_is_that_of_its_formula():
    x = torch.linspace(-4, 4, 33, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS["relu2"], x)
    (g,) = torch.autograd.grad(ACTIVATIONS["relu2"](x).sum(), x)
    assert_close(g, 2 * x.clamp(min=0))
