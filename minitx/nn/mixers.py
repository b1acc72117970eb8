"""Mixers: the parts of a block that move information between positions, and their registry.

A new mixer is a subclass of `Mixer` in a module of its own, with a builder that is registered under
its name:

    def build(shape: Shape, *, expansion: int) -> Callable[[], Mixer]:
        return lambda: MinGRU(shape.dim, expansion * shape.dim)

    register("min_gru", build)

A builder gets the `Shape` that all mixers of a stack share and its own options by keyword. It
returns a function that makes one mixer per layer, so that layers can share tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


class Mixer(nn.Module):
    """The interface of a mixer.

    The state is a tree of tensors, batch first (see `minitx.nn.tree`): the keys and values of
    attention, the hidden state of a recurrence. Outputs do not depend on padding.
    """

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        With a state, x continues the sequence that the state has read.
        """
        raise NotImplementedError

    def flops_per_token(self, length: int) -> float:
        """Return the floating-point operations per token of a sequence of `length` tokens.

        A multiplication and an addition are two operations. Only products with matrices count.
        Here, every weight of a matrix meets every token once.
        """
        return matrix_flops(self)

    def state_size(self, length: int) -> int:
        """Return how many numbers the state of one sequence holds after `length` tokens."""
        raise NotImplementedError

    def initialise(self, residual_std: float | None) -> None:
        """Set the weights that do not start by the rule of their layer (see `minitx.nn.init`).

        `residual_std` is the standard deviation of a matrix that writes into the residual stream.
        It is None if matrices start by Glorot's rule.
        """


@dataclass(frozen=True)
class Shape:
    """What all mixers of a stack have in common.

    `position` is how order is encoded. A mixer acts on it only if it does so itself, as attention
    does with "rotary" and "alibi". `rotary_base` sets the wavelengths of "rotary".
    """

    dim: int
    context: int
    causal: bool
    position: str = "none"
    bias: bool = True
    rotary_base: float = 10_000.0


Builder = Callable[..., Callable[[], Mixer]]

_builders: dict[str, Builder] = {}


def register(name: str, builder: Builder) -> None:
    """Register the builder of a mixer. Raises ValueError if the name is taken."""
    if name in _builders:
        raise ValueError(f"mixer {name} is registered twice: give one of them another name")
    _builders[name] = builder


def find_builder(name: str) -> Builder:
    """Return the builder of a mixer. Raises ValueError if there is none of this name."""
    if name not in _builders:
        raise ValueError(f"no mixer {name} is registered; there are {', '.join(_builders)}")
    return _builders[name]


def matrix_flops(module: nn.Module) -> int:
    """Return the operations of multiplying one vector with every matrix in a module."""
    return sum(2 * weight.numel() for weight in module.parameters() if weight.ndim == 2)


def check_divides(part_name: str, part: int, whole_name: str, whole: int) -> None:
    """Raise ValueError if `part` does not divide `whole`. The message lists the numbers that do."""
    if part < 1 or whole % part:
        fits = [n for n in range(1, whole + 1) if whole % n == 0]
        raise ValueError(
            f"{part_name}={part} does not divide {whole_name}={whole}; "
            f"{part_name} may be one of {fits}"
        )
