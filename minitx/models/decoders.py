"""The decoders of a `Seq2Seq`: they read the target so far and attend to the source.

Both have one interface:

    memory = decoder.prepare_memory(encoded, padding, final)
    y, state = decoder(x, memory, state)

`encoded` (B, S, C) and `final` are the outputs of the encoder and its last state. The memory
belongs to a source and never changes. The state belongs to the target so far. Both are trees of
tensors, batch first (see `minitx.nn.tree`). With a state, x may have several consecutive rows for
each source. The rows of one source share its memory.
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
    """The source as the decoder reads it, computed once."""

    attended: tuple[KeyValues, ...]  # the source's keys and values, for each attention
    start: Any  # the decoder's state before the first token


class TransformerDecoder(nn.Module):
    """Causal blocks with cross-attention (Vaswani et al. 2017, section 3.1 and figure 1, right).

    Its memory is the keys and values of each cross-attention. Its state is the state of each mixer.
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
    """The `Hidden` (B, 1, C) of each layer, and with input feeding the last output (B, 1, C)."""

    hidden: tuple[Hidden, ...]
    fed: Tensor | None


class RecurrentDecoder(nn.Module):
    """An RNN that starts from the encoder's last state, with or without attention.

    Without `attention`, it knows the source only from that state (Sutskever et al. 2014). With
    `attention`, its outputs are attentional states (Luong et al. 2015, section 3.1): the fused
    kernel runs over the whole target, then all positions attend at once.

    `input_feeding` (ibid., section 3.3) appends each output to the next input. Each step then waits
    for the attention of the previous step, so only this case is a loop over time. `stack` must then
    take inputs of width 2 * dim.
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
        """encoded (B, S, C), padding bool (B, S), and the encoder's last state for each layer.

        The two directions of an encoder are half as wide as the decoder. Concatenated, they fit it.
        """
        attended = self.attention.keys_and_values(encoded, padding) if self.attention else None
        hidden = map_tensors(lambda part: part.flatten(1)[:, None], final)  # (B, 1, C)
        fed = torch.zeros_like(encoded[:, :1]) if self.input_feeding else None
        return Memory(() if attended is None else (attended,), RecurrentState(hidden, fed))

    def state_size(self, length: int) -> int:
        """Return the number of values that the state adds to those of its parts: an output."""
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
