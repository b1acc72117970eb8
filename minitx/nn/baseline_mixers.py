"""Mixers that do less than attention, to show what attention adds.

They take the place of `SelfAttention` in the same residual block.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from minitx.nn.mixers import Mixer, check_state, register


class Sums(NamedTuple):
    """The state of `Average`: the sum of the values so far (B, C), and their count (B, 1)."""

    values: Tensor
    number: Tensor


class Average(Mixer):
    """Attention with equal weights: each position averages all positions it may attend to.

    It has the value and output projections of attention, and no queries and keys.
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
        if an average that is not causal is given a state.
        """
        check_state(state, self.causal)
        real = torch.ones_like(x[..., :1]) if padding is None else padding[..., None].to(x.dtype)
        total, count = (self.value(x) * real).cumsum(dim=1), real.cumsum(dim=1)
        if state is not None:
            total, count = total + state.values[:, None], count + state.number[:, None]
        new_state = Sums(total[:, -1], count[:, -1])
        if not self.causal:
            total, count = total[:, -1:].expand_as(x), count[:, -1:]
        return self.output(total / count.clamp(min=1)), new_state

    def state_size(self, length: int) -> int:
        """Return the number of elements in the sum and the count, whatever the length."""
        return self.value.out_features + 1


class NoMixing(Mixer):
    """A mixer that passes nothing between positions: only the feed-forward of a block remains."""

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: None = None
    ) -> tuple[Tensor, None]:
        """x (B, T, C) -> zeros (B, T, C), which the residual connection adds to the input."""
        return x * 0, None  # a product, so that the norm before it has a gradient, as DDP requires

    def state_size(self, length: int) -> int:
        """Return 0: there is no state."""
        return 0


register("average", lambda shape: partial(Average, shape.dim, causal=shape.causal, bias=shape.bias))
register("none", lambda shape: NoMixing)
