"""Activations: without one, the two linear maps of a feed-forward would be a single linear map."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def relu2(x: Tensor) -> Tensor:
    """Return max(x, 0)^2, elementwise: squared ReLU (So et al. 2021, Primer, section 4)."""
    return _SquaredReLU.apply(x) if torch.is_grad_enabled() else F.relu(x).square_()


class _SquaredReLU(torch.autograd.Function):
    """Squared ReLU with the gradient 2 max(x, 0): two passes over memory instead of five."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return (g * positive).mul_(2)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,  # Vaswani et al. 2017, equation 2
    "gelu": F.gelu,  # Hendrycks and Gimpel 2016
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # ibid., section 2; GPT-2 has this one
    "silu": F.silu,  # Elfwing et al. 2017
    "relu2": relu2,
}
