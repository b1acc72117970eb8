"""A short convolution: every feature is a weighted sum of its latest values.

    y_t = bias + sum over i < K of w_i x_{t-i}

Weights, features and bias are multiplied elementwise. Modern recurrences put it before their state,
so that a key depends on the tokens before it, too.

Sources: Fu et al. 2023 (H3), arXiv 2212.14052, section 3.1; Gu and Dao 2023 (Mamba), arXiv
2312.00752, section 3.4.
"""

import math

import torch
from torch import Tensor, nn


class ShortConvolution(nn.Module):
    """A causal convolution of `dim` features over `size` steps, without mixing features."""

    def __init__(self, dim: int, size: int = 4, *, bias: bool = True) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.empty(size, dim))  # w_0 of the latest value comes last
        self.bias = nn.Parameter(torch.empty(dim)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights as `nn.Conv1d` does: uniform of +-1/sqrt(K)."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(self.size), 1 / math.sqrt(self.size))

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is the last K - 1 real inputs (B, K - 1, C). Padding must follow the real tokens,
        or precede them if there is no state. It acts as zeros, and its outputs are zero.
        """
        batch, length, dim = x.shape
        if padding is not None:
            x = x.where(padding[..., None], 0.0)
        before = x.new_zeros(batch, self.size - 1, dim) if state is None else state
        read = torch.cat([before, x], dim=1)  # (B, K - 1 + T, C)
        y = x.new_zeros(dim) if self.bias is None else self.bias
        for step, weight in enumerate(self.weight):
            y = torch.addcmul(y, read[:, step : step + length], weight)
        if padding is not None:
            y = y.where(padding[..., None], 0.0)
        return y, self._last(read, padding)

    def _last(self, read: Tensor, padding: Tensor | None) -> Tensor:
        """Return the last K - 1 real inputs of read (B, K - 1 + T, C)."""
        past = self.size - 1
        if padding is None:
            return read[:, read.size(1) - past :]
        position = torch.arange(1, padding.size(1) + 1, device=read.device)
        ends = (padding * position).amax(dim=1)  # (B,), 0 if there is no real token
        last = ends[:, None] + torch.arange(past, device=read.device)  # (B, K - 1)
        return read.gather(1, last[..., None].expand(-1, -1, read.size(-1)))
