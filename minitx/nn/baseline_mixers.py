"""Mixers that do less than attention, to show what attention adds.

They take the place of `SelfAttention` in the same residual block.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Sums(NamedTuple):
    """The state of `Average`: the sum of the values so far (B, C), and their number (B, 1)."""

    values: Tensor
    number: Tensor


class Average(nn.Module):
    """Attention that cannot choose: the same weight for every position it may attend to.

    It keeps attention's value and output projections and drops queries and keys.
    """

    def __init__(self, dim: int, *, causal: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.value = nn.Linear(dim, dim, bias)
        self.output = nn.Linear(dim, dim, bias)
        self.causal = causal

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Sums | None = None
    ) -> tuple[Tensor, Sums]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        A position with nothing to average gets a zero vector, as in attention. Raises ValueError
        where a state is given to an average that is not causal.
        """
        if state is not None and not self.causal:
            raise ValueError("only a causal average can continue from a state")
        real = torch.ones_like(x[..., :1]) if padding is None else padding[..., None].to(x.dtype)
        total, count = (self.value(x) * real).cumsum(dim=1), real.cumsum(dim=1)
        if state is not None:
            total, count = total + state.values[:, None], count + state.number[:, None]
        new_state = Sums(total[:, -1], count[:, -1])
        if not self.causal:
            total, count = total[:, -1:].expand_as(x), count[:, -1:]
        return self.output(total / count.clamp(min=1)), new_state


class NoMixing(nn.Module):
    """Nothing passes between positions: the block is left with its feed-forward alone."""

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: None = None
    ) -> tuple[Tensor, None]:
        """x (B, T, C) -> zeros (B, T, C), which the residual adds to the input."""
        return x * 0, None  # a product, so that the norm before it has a gradient: DDP wants one
