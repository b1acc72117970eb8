"""Norms: they scale the features of each position, so that their size does not grow with depth."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.RMSNorm):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last dimension.

    It equals `torch.nn.RMSNorm`, its weights included. On a CPU it takes less than half the time,
    because torch runs several operations there.
    Source: Zhang and Sennrich 2019, equation 4.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) -> (..., C)."""
        if x.device.type != "cpu":
            # torch's kernel needs one dtype. Under autocast, queries and keys are in bfloat16.
            return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)
        single_or_double = x.dtype in (torch.float32, torch.float64)
        if x.dtype != self.weight.dtype or not single_or_double:
            return super().forward(x)
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        if not torch.is_grad_enabled():  # an autograd function costs more than these sums
            return _normalised(x, self.weight, eps)[0]
        return _RMSNorm.apply(x, self.weight, eps)


def _normalised(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return y (..., C) for x (..., C), and r = 1 / sqrt(mean(x^2) + eps), (..., 1)."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    r = torch.full_like(norm, eps).addcmul_(norm, norm, value=1 / x.size(-1)).rsqrt_()
    return (x * r).mul_(weight), r


class _RMSNorm(torch.autograd.Function):
    """With r = 1 / sqrt(mean(x^2) + eps) and g the gradient of y = x r w:

    dx = r (g w - x r^2 mean(g w x)) and dw = sum of g x r over the positions.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        y, r = _normalised(x, weight, eps)
        ctx.save_for_backward(x, weight, r)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, r = ctx.saved_tensors
        dim = x.size(-1)
        gx = (g * x).reshape(-1, dim)
        d_weight = gx.mT @ r.flatten()
        mean = (gx @ weight).view_as(r).div_(dim)
        dx = (g * weight).addcmul_(x, mean.mul_(r.square()), value=-1).mul_(r)
        return dx, d_weight, None
