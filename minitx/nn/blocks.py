"""The residual block and the stacks made of it.

A block does not know which mixer it holds. Every mixer has the same interface,

    y, state = mixer(x, padding, state)

with x and y (B, T, C), padding bool (B, T), True = a real token, and a state of its own kind: the
keys and values of attention, the hidden state of a recurrence.
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


class Residual(nn.Module):
    """Where a sublayer leaves the residual stream and comes back to it.

    post (Vaswani et al. 2017, section 3.1):  x = norm(x + dropout(sublayer(x)))
    pre  (Xiong et al. 2020):                 x = x + dropout(sublayer(norm(x)))

    Without `residual` the sum is left out: x is then only what the sublayer gives.
    """

    def __init__(
        self, dim: int, norm: str, norm_order: str, dropout: float, residual: bool = True
    ) -> None:
        super().__init__()
        if norm_order not in ("pre", "post"):
            raise ValueError(f"norm_order={norm_order!r}: it may be 'pre' or 'post'")
        self.norm = NORMS[norm](dim)
        self.pre, self.residual = norm_order == "pre", residual
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """What the sublayer is to work on: (B, T, C) -> (B, T, C)."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """The stream x with the sublayer's output y added: (B, T, C) each."""
        y = self.dropout(y)
        x = x + y if self.residual else y
        return x if self.pre else self.norm(x)


class BlockState(NamedTuple):
    """What a block carries from one call to the next."""

    mixer: Any
    cross: KeyValues | None


class Block(nn.Module):
    """x -> mixer -> [cross-attention ->] [feed-forward ->] x, each with a residual connection.

    Without `cross` this is the encoder's block, and that of a decoder-only model; with it, the
    decoder's (Vaswani et al. 2017, figure 1).
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
    ) -> None:
        super().__init__()
        self.mixer, self.cross, self.feed_forward = mixer, cross, feed_forward
        around = partial(Residual, dim, norm, norm_order, dropout, residual)
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
    """Blocks one upon the other: an encoder, or a decoder, by what its blocks hold.

    After pre-norm blocks a last norm closes the stream, which nothing has normalised on its way.
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
        """x (B, T, C), memory (B, M, C), their paddings bool -> (B, T, C), one state a block."""
        new_state = []
        for index, block in enumerate(self.layers):
            block_state = None if state is None else state[index]
            x, block_state = block(x, padding, block_state, memory, memory_padding)
            new_state.append(block_state)
        return self.final_norm(x), tuple(new_state)
