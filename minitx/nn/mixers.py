"""Mixers: the parts of a block that move information between positions, and their registry.

A new mixer is a subclass of `Mixer` in a module of its own, which registers it under its name:

    register_class("mingru", MinGRU)  # MinGRU(dim, expansion=1, *, causal=True)

If a mixer needs more of the `Shape` that all mixers of a stack share, or if its layers share
tables, register a builder. It gets the shape, and the mixer's own options by keyword, and returns a
function that makes the mixer of one layer:

    def build(shape: Shape, *, expansion: int) -> Callable[[], Mixer]:
        return lambda: MinGRU(shape.dim, expansion, causal=shape.causal)

    register("mingru", build)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

from torch import Tensor, nn

MOST_IMPLICIT = 2**27  # weights of an implicit map: half a GiB in single precision


class Mixer(nn.Module):
    """The interface of a mixer.

    The state is a tree of tensors, batch first (see `minitx.nn.tree`): the keys and values of
    attention, the hidden state of a recurrence. Outputs of real tokens ignore padding.

    `output` is the linear map that writes into the residual stream, if the mixer has one.
    `per_channel` says that an implicit map has channels in the place of heads.
    """

    per_channel = False

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        With a state, x continues the sequence that the state has read.
        """
        raise NotImplementedError

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values (B, H, T, D), for x (B, T, C) without a state.

        weights @ values is what the mixing step computes, before gate, norm and projection. The
        weights may be negative, and a row need not sum to one. If every channel has weights of its
        own, H is the number of channels, and D = 1. Attention and the mixers whose state is not a
        weighted sum of values have no such map.

        Raises ValueError if the weights would be more than `MOST_IMPLICIT`.
        """
        raise NotImplementedError(f"a {type(self).__name__} has no implicit map")

    def flops_per_token(self, length: int) -> float:
        """Return the floating-point operations per token of a sequence of `length` tokens.

        A multiplication and an addition are two operations. Only products with matrices count.
        Here, every weight of a matrix meets every token once.
        """
        return matrix_flops(self)

    def state_size(self, length: int) -> int:
        """Return the number of elements in the state of one sequence after `length` tokens."""
        raise NotImplementedError

    def initialise(self, residual_std: float | None) -> None:
        """Initialise the weights that do not follow their layer's rule (see `minitx.nn.init`).

        By default, this is the matrix of `output`. `residual_std` is its standard deviation, or
        None if matrices start by Glorot's rule.
        """
        output = getattr(self, "output", None)
        if isinstance(output, nn.Linear) and residual_std is not None:
            output.weight.normal_(std=residual_std)


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


def register_class(name: str, kind: Callable[..., Mixer]) -> None:
    """Register a mixer that is built as kind(dim, causal=..., **options): see `register`."""
    register(
        name, lambda shape, **options: partial(kind, shape.dim, causal=shape.causal, **options)
    )


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


def check_heads(heads: int, dim: int, causal: bool) -> None:
    """Raise ValueError unless heads divide dim, and are even if half of them read backwards."""
    check_divides("heads", heads, "dim", dim)
    if not causal and heads % 2:
        fits = [n for n in range(2, dim + 1, 2) if dim % n == 0]
        choice = f"heads may be one of {fits}" if fits else f"dim={dim} must be even"
        raise ValueError(f"heads={heads}: half of the heads read backwards, so {choice}")


def check_state(state: Any, causal: bool) -> None:
    """Raise ValueError if a mixer that is not causal is given a state.

    The positions that the state has read would have to read those after them, too.
    """
    if state is not None and not causal:
        raise ValueError("only a causal mixer can continue from a state")


def check_map_fits(batch: int, maps: int, length: int) -> None:
    """Raise ValueError if the weights of implicit maps (batch, maps, length, length) are too many.

    The message names the length that fits.
    """
    if batch * maps * length**2 > MOST_IMPLICIT:
        fits = isqrt(MOST_IMPLICIT // (batch * maps))
        raise ValueError(
            f"{maps:,} implicit maps of {length:,} tokens have {batch * maps * length**2:,} "
            f"weights, and there is room for {MOST_IMPLICIT:,}: read at most {fits:,} tokens"
        )
