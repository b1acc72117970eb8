"""Recurrence: every position reads a summary of all positions before it.

These are the baselines of attention. They run on torch's fused kernels (cuDNN on a GPU), without a
Python loop over time. A `Recurrence` is a mixer, as `SelfAttention` is. A `RecurrentStack` is the
classical deep RNN: recurrent layers with dropout between them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from minitx.nn.lengths import by_length
from minitx.nn.mixers import Mixer, Shape, check_state, register
from minitx.nn.tree import map_tensors, reorder

CELLS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,  # Elman 1990
    "lstm": nn.LSTM,  # Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate
    "gru": nn.GRU,  # Cho et al. 2014
}

# One tensor (B, directions, width), or the pair (hidden, cell) of an LSTM.
Hidden = Tensor | tuple[Tensor, Tensor]

# The same for one token: step(x (B, C), state, weights ...).
STEPS: dict[type[nn.RNNBase], Callable[..., Hidden]] = {
    nn.RNN: torch.rnn_tanh_cell,
    nn.LSTM: torch.lstm_cell,
    nn.GRU: torch.gru_cell,
}


class Recurrence(Mixer):
    """A mixer that is one recurrent layer, from `input_dim` (by default dim) to dim features.

    `bidirectional` runs two layers of half the width, forwards and backwards, and concatenates
    them (Schuster and Paliwal 1997). Such a layer has read the end of the sequence, so it takes no
    state.
    """

    def __init__(
        self,
        dim: int,
        cell: str = "lstm",
        *,
        bidirectional: bool = False,
        input_dim: int | None = None,
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        if dim % directions:
            raise ValueError(f"a bidirectional recurrence halves dim, so dim={dim} must be even")
        self.cell = CELLS[cell](
            dim if input_dim is None else input_dim,
            dim // directions,
            batch_first=True,
            bidirectional=bidirectional,
        )

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Hidden | None = None
    ) -> tuple[Tensor, Hidden]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is (B, directions, width), or the pair (hidden, cell) of an LSTM. Padding must
        follow the real tokens, and its outputs are zero. The state returned is that at
        the last real token of each sequence, or the given state if there is no real token. Raises
        ValueError if a bidirectional layer is given a state.
        """
        check_state(state, not self.cell.bidirectional)
        if padding is None:
            y, hidden = self._run(x, _transposed(state))
            return y, _transposed(hidden)
        # Rows are sorted here because torch would wait for the device each time it sorts them.
        lengths, order, inverse = by_length(padding)
        longest_first, before = reorder((x, state), order)
        # A sequence without a real token cannot be packed. It runs for one step, which is undone.
        packed = pack_padded_sequence(longest_first, lengths.clamp(min=1), batch_first=True)
        packed_y, hidden = self._run(packed, _transposed(before))
        y, _ = pad_packed_sequence(packed_y, batch_first=True, total_length=x.size(1))
        y, hidden = reorder((y, _transposed(hidden)), inverse)
        return y * padding[..., None], _advanced(state, hidden, padding.any(dim=1))

    def _run(self, x: Tensor | PackedSequence, hidden: Any) -> tuple[Any, Any]:
        """Run the cell, on a CPU outside autocast.

        torch has no LSTM in bfloat16 for a processor without AVX-512, and none in float16.
        """
        one_token = hidden is not None and isinstance(x, Tensor) and x.size(1) == 1
        run: Callable[..., Any] = self._step if one_token else self.cell
        if x.is_cuda or not torch.is_autocast_enabled("cpu"):
            return run(x, hidden)
        dtype = next(self.cell.parameters()).dtype
        with torch.autocast("cpu", enabled=False):
            return run(x.to(dtype), map_tensors(lambda part: part.to(dtype), hidden))

    def _step(self, x: Tensor, hidden: Any) -> tuple[Tensor, Any]:
        """Read one token, as in generation. The kernels for sequences are slow to start.

        On a CPU, oneDNN rearranges the weights of an LSTM at each call.
        """
        cell = self.cell
        weights = (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0)
        before = map_tensors(lambda part: part[0], hidden)
        after = STEPS[type(cell)](x[:, 0], before, *weights)
        y = after[0] if isinstance(after, tuple) else after
        return y[:, None], map_tensors(lambda part: part[None], after)

    def state_size(self, length: int) -> int:
        """Return the number of elements in the hidden state, whatever the length."""
        directions = 2 if self.cell.bidirectional else 1
        parts = 2 if isinstance(self.cell, nn.LSTM) else 1
        return parts * directions * self.cell.hidden_size


class RecurrentStack(nn.Module):
    """A stack of recurrences with dropout between them (Zaremba et al. 2014).

    Every layer is a fused kernel of its own, because the dropout inside torch's multi-layer kernels
    cannot be reproduced on a GPU.
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        cell: str = "lstm",
        *,
        bidirectional: bool = False,
        input_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.ModuleList(
            Recurrence(
                dim,
                cell,
                bidirectional=bidirectional,
                input_dim=input_dim if index == 0 else None,
            )
            for index in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        padding: Tensor | None = None,
        state: tuple[Hidden, ...] | None = None,
    ) -> tuple[Tensor, tuple[Hidden, ...]]:
        """x (B, T, C or input_dim), padding bool (B, T) -> (B, T, C), and a state per layer."""
        new_state = []
        for index, layer in enumerate(self.layers):
            x, hidden = layer(x, padding, None if state is None else state[index])
            new_state.append(hidden)
            if index < len(self.layers) - 1:
                x = self.dropout(x)
        return x, tuple(new_state)


def _transposed(hidden: Any) -> Any:
    """Transpose between our (B, directions, width) and torch's (directions, B, width)."""
    return map_tensors(lambda part: part.transpose(0, 1).contiguous(), hidden)


def _advanced(state: Any, hidden: Any, read: Tensor) -> Any:
    """Return `hidden` in the rows that have read a token (bool, (B,)), else the old `state`."""
    if isinstance(hidden, tuple):
        parts = zip(state or (None, None), hidden, strict=True)
        return tuple(_advanced(before, after, read) for before, after in parts)
    before = torch.zeros_like(hidden) if state is None else state
    return torch.where(read[:, None, None], hidden, before)


def _build(cell: str, shape: Shape) -> Callable[[], Recurrence]:
    return lambda: Recurrence(shape.dim, cell, bidirectional=not shape.causal)


for cell in CELLS:
    register(cell, partial(_build, cell))
