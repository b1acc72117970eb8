"""The residual block, and stacks of blocks.

A block does not know which mixer it holds. Every mixer has the same interface:

    y, state = mixer(x, padding, state)

x and y are (B, T, C). padding is bool (B, T), True = a real token. The state is of the mixer's own
kind: keys and values for attention, a hidden state for a recurrence.
"""

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from minitx.nn.attention import CrossAttention
from minitx.nn.cache import KeyValues
from minitx.nn.feedforward import FeedForward
from minitx.nn.norms import RMSNorm

NORMS: dict[str, type[nn.Module]] = {
    "layernorm": nn.LayerNorm,  # Ba et al. 2016
    "rmsnorm": RMSNorm,  # Zhang and Sennrich 2019
}


def make_norm(name: str, dim: int, eps: float | None = None) -> nn.Module:
    """Return a norm of `NORMS`. Without `eps`, it has torch's default."""
    return NORMS[name](dim) if eps is None else NORMS[name](dim, eps=eps)


class Residual(nn.Module):
    """The residual connection around a sublayer, with its norm and dropout.

    post (Vaswani et al. 2017, section 3.1):  x = norm(x + dropout(sublayer(x)))
    pre  (Xiong et al. 2020):                 x = x + dropout(sublayer(norm(x)))

    With `residual=False` the sum is left out: x is then the output of the sublayer alone.
    """

    def __init__(
        self,
        dim: int,
        norm: str,
        norm_order: str,
        dropout: float,
        residual: bool = True,
        norm_eps: float | None = None,
    ) -> None:
        super().__init__()
        if norm_order not in ("pre", "post"):
            raise ValueError(f"norm_order={norm_order!r}: it may be 'pre' or 'post'")
        self.norm = make_norm(norm, dim, norm_eps)
        self.pre, self.residual = norm_order == "pre", residual
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """Return the input of the sublayer, given the stream: (B, T, C) -> (B, T, C)."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the stream x with the output y of the sublayer added: (B, T, C) each."""
        y = self.dropout(y)
        x = x + y if self.residual else y
        return x if self.pre else self.norm(x)


class BlockState(NamedTuple):
    """The state of a block: that of its mixer, and the memory's keys and values."""

    mixer: Any
    cross: KeyValues | None


class Block(nn.Module):
    """`x -> mixer -> [cross-attention ->] [feed-forward ->] x`, each with a residual connection.

    Without `cross`, it is the block of an encoder or of a decoder-only model. With `cross`, it is
    the block of a decoder (Vaswani et al. 2017, figure 1).
    """

    def __init__(
        self,
        dim: int,
        mixer: nn.Module,
        feed_forward: FeedForward | None,
        cross: CrossAttention | None = None,
        *,
        norm: str = "layernorm",
        norm_order: str = "pre",
        dropout: float = 0.0,
        residual: bool = True,
        norm_eps: float | None = None,
    ) -> None:
        super().__init__()
        self.mixer, self.cross, self.feed_forward = mixer, cross, feed_forward
        around = partial(Residual, dim, norm, norm_order, dropout, residual, norm_eps)
        self.mixer_residual = around()
        self.cross_residual = around() if cross else None
        self.feed_forward_residual = around() if feed_forward else None

    def forward(
        self,
        x: Tensor,
        padding: Tensor | None = None,
        state: BlockState | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
    ) -> tuple[Tensor, BlockState]:
        """x (B, T, C), memory (B, M, C), their paddings bool -> (B, T, C), and the state."""
        mixer_state, cross_state = (None, None) if state is None else state
        y, mixer_state = self.mixer(self.mixer_residual.before(x), padding, mixer_state)
        x = self.mixer_residual.after(x, y)
        if self.cross is not None and self.cross_residual is not None:
            entering = self.cross_residual.before(x)
            y, cross_state = self.cross(entering, memory, memory_padding, cross_state)
            x = self.cross_residual.after(x, y)
        if self.feed_forward is not None and self.feed_forward_residual is not None:
            y = self.feed_forward(self.feed_forward_residual.before(x))
            x = self.feed_forward_residual.after(x, y)
        return x, BlockState(mixer_state, cross_state)


class Stack(nn.Module):
    """A stack of blocks: an encoder or a decoder, depending on the blocks.

    Pre-norm blocks need a final norm, because they do not normalise the stream itself.
    """

    def __init__(self, blocks: list[Block], final_norm: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.final_norm = nn.Identity() if final_norm is None else final_norm

    def forward(
        self,
        x: Tensor,
        padding: Tensor | None = None,
        state: tuple[BlockState, ...] | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
    ) -> tuple[Tensor, tuple[BlockState, ...]]:
        """x (B, T, C), memory (B, M, C), their paddings bool -> (B, T, C), one state per block."""
        new_state = []
        for index, block in enumerate(self.layers):
            block_state = None if state is None else state[index]
            x, block_state = block(x, padding, block_state, memory, memory_padding)
            new_state.append(block_state)
        return self.final_norm(x), tuple(new_state)
