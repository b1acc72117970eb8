"""Two directions: one half of a mixer reads forwards, the other half backwards."""

from collections.abc import Callable

import torch
from torch import Tensor

from minitx.nn.mixers import Mixer


class TwoDirections(Mixer):
    """The sum of a causal mixer and of one that reads the sequence from its end.

    Each is given half of the heads, so that both together are as large as one in one direction
    (Schuster and Paliwal 1997). They have read the end of the sequence, so they take no state.
    """

    def __init__(self, forwards: Mixer, backwards: Mixer) -> None:
        super().__init__()
        self.forwards, self.backwards = forwards, backwards

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: None = None
    ) -> tuple[Tensor, None]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and no state.

        Raises ValueError if it is given a state.
        """
        if state is not None:
            raise ValueError("a mixer in two directions cannot continue from a state")
        reverse = None if padding is None else padding.flip(1)
        y, _ = self.forwards(x, padding)
        backwards, _ = self.backwards(x.flip(1), reverse)
        return y + backwards.flip(1), None

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values (B, H, T, D), those of the first half first."""
        reverse = None if padding is None else padding.flip(1)
        weights, values = self.forwards.implicit_map(x, padding)
        reversed_weights, reversed_values = self.backwards.implicit_map(x.flip(1), reverse)
        return (
            torch.cat([weights, reversed_weights.flip(-2, -1)], dim=1),
            torch.cat([values, reversed_values.flip(-2)], dim=1),
        )

    def flops_per_token(self, length: int) -> float:
        """Return the operations of both directions."""
        return self.forwards.flops_per_token(length) + self.backwards.flops_per_token(length)

    def state_size(self, length: int) -> int:
        """Return how many numbers the states of both directions are."""
        return self.forwards.state_size(length) + self.backwards.state_size(length)


def in_directions(make: Callable[[int], Mixer], heads: int, causal: bool) -> Callable[[], Mixer]:
    """Return a function that makes a mixer of `heads` heads, in two directions if not causal.

    `make` returns a causal mixer for a number of heads. Raises ValueError if two directions would
    halve an odd number.
    """
    if causal:
        return lambda: make(heads)
    if heads % 2:
        raise ValueError(f"heads={heads}: two directions halve the heads, so it must be even")
    return lambda: TwoDirections(make(heads // 2), make(heads // 2))
