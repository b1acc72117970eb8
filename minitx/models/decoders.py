"""The second half of a `Seq2Seq`: what reads the target so far, with the source before its eyes.

Both decoders have one interface:

    memory = decoder.prepare_memory(encoded, padding, final)
    y, state = decoder(x, memory, state)

`encoded` (B, S, C) and `final` are an encoder's outputs and its last state. Memory belongs to a
source and never changes; state belongs to what was written so far. Both are trees of tensors, batch
first (see `minitx.nn.tree`). With a state, x may have several rows for each source, one after the
other: outputs of one source share its memory.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minitx.nn.attention import CrossAttention
from minitx.nn.blocks import BlockState, Stack
from minitx.nn.cache import KeyValues
from minitx.nn.recurrent import Hidden, RecurrentStack
from minitx.nn.recurrent_attention import RecurrentAttention
from minitx.nn.tree import map_tensors


class Memory(NamedTuple):
    """The source as a decoder sees it: all that it needs of it, computed once."""

    attended: tuple[KeyValues, ...]  # for each attention of the decoder
    start: Any  # the decoder's state before the first token


class TransformerDecoder(nn.Module):
    """Causal blocks with cross-attention (Vaswani et al. 2017, section 3.1 and figure 1, right).

    Its memory is the keys and values of every block's cross-attention; its state is one of each
    block's mixer.
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def prepare_memory(self, encoded: Tensor, padding: Tensor | None, final: Any) -> Memory:
        """encoded (B, S, C), padding bool (B, S), True = a real token; `final` is not used."""
        attended = tuple(
            KeyValues(*cross.keys_and_values(encoded), padding)
            for cross in self.stack.modules()
            if isinstance(cross, CrossAttention)
        )
        return Memory(attended, start=(None,) * len(attended))

    def forward(
        self, x: Tensor, memory: Memory, state: tuple[Any, ...] | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """x (B, T, C) -> (B, T, C), and the state."""
        mixers = memory.start if state is None else state
        blocks = tuple(map(BlockState, mixers, memory.attended))
        y, blocks = self.stack(x, state=blocks)
        return y, tuple(block.mixer for block in blocks)


class RecurrentState(NamedTuple):
    """The hidden state of each layer, and with input feeding the last output (B, 1, C)."""

    hidden: tuple[Hidden, ...]
    fed: Tensor | None


class RecurrentDecoder(nn.Module):
    """An RNN that goes on from the encoder's last state, with or without attention.

    Without, that state is all it knows of the source (Sutskever et al. 2014). With `attention`,
    its outputs are attentional states (Luong et al. 2015, section 3.1), and the fused kernel runs
    over the whole target before all positions attend at once.

    `input_feeding` (ibid., section 3.3) appends each output to the next input. The next step then
    waits for the attention of the one before, so this, and only this, is a loop over time.
    `stack` must then take inputs of width 2 * dim.
    """

    def __init__(
        self,
        stack: RecurrentStack,
        attention: RecurrentAttention | None = None,
        *,
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        self.stack, self.attention, self.input_feeding = stack, attention, input_feeding
        self.dim = stack.dim

    def prepare_memory(
        self, encoded: Tensor, padding: Tensor | None, final: tuple[Hidden, ...]
    ) -> Memory:
        """encoded (B, S, C), padding bool (B, S), and one last state of the encoder per layer.

        The two directions of an encoder are half as wide as the decoder: side by side they fit.
        """
        attended = self.attention.keys_and_values(encoded, padding) if self.attention else None
        hidden = map_tensors(lambda part: part.flatten(1)[:, None], final)  # (B, 1, C)
        fed = torch.zeros_like(encoded[:, :1]) if self.input_feeding else None
        return Memory(() if attended is None else (attended,), RecurrentState(hidden, fed))

    def state_size(self, length: int) -> int:
        """Return how many numbers the state holds besides those of its parts: the last output."""
        return self.dim if self.input_feeding else 0

    def forward(
        self, x: Tensor, memory: Memory, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """x (B, T, C) -> (B, T, C), and the state."""
        hidden, fed = memory.start if state is None else state
        if fed is None:
            y, hidden = self.stack(x, state=hidden)
            return self._attended(y, memory), RecurrentState(hidden, None)
        outputs = []
        for step in x.split(1, dim=1):  # (B, 1, C)
            y, hidden = self.stack(torch.cat([step, fed], dim=-1), state=hidden)
            fed = self._attended(y, memory)
            outputs.append(fed)
        return torch.cat(outputs, dim=1), RecurrentState(hidden, fed)

    def _attended(self, y: Tensor, memory: Memory) -> Tensor:
        return y if self.attention is None else self.attention(y, *memory.attended)
