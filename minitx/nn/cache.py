"""The key/value cache: what attention keeps of the positions that it has read.

Joining old and new keys with torch.cat copies all the old ones for every new token. Here they are
the beginning of a larger tensor, and the new ones are written behind them.

A state still behaves like a value. No position that a state can see is ever written again: only
the latest state may write behind itself, and an earlier one that is continued once more gets a
copy.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class _Tensors(NamedTuple):
    keys: Tensor
    values: Tensor
    padding: Tensor | None = None


@dataclass(slots=True)
class Room:
    """Keys and values of P positions (B, G, P, D), the first `used` of which are written."""

    keys: Tensor
    values: Tensor
    used: int


class KeyValues(_Tensors):
    """The state of attention: keys and values so far (B, G, K, D), and which are real (B, K).

    Without padding all of them are. `room` is the memory that they are the beginning of, if any;
    it is no part of the tuple, so that a state made of other tensors has none.
    """

    room: Room | None = None

    def extended(self, keys: Tensor, values: Tensor, padding: Tensor | None = None) -> "KeyValues":
        """The state with T more positions: keys and values (B, G, T, D), padding bool (B, T)."""
        past, length = self.keys.size(-2), self.keys.size(-2) + keys.size(-2)
        padding = _joined(self.padding, padding, self.keys, keys)
        if torch.is_grad_enabled():  # autograd needs all that it has read to stay as it was
            joined = torch.cat([self.keys, keys], dim=-2), torch.cat([self.values, values], dim=-2)
            return KeyValues(*joined, padding)
        room = self.room
        if room is None:
            # For this step alone: beam search moves the rows after each, and leaves room behind.
            room = Room(_longer(self.keys, length), _longer(self.values, length), past)
        elif not _writable(room, past, length):
            # Twice as much as needed: so each position is copied once on average.
            room = Room(_longer(self.keys, 2 * length), _longer(self.values, 2 * length), past)
        room.keys.narrow(-2, past, length - past).copy_(keys)
        room.values.narrow(-2, past, length - past).copy_(values)
        room.used = length
        extended = KeyValues(
            room.keys.narrow(-2, 0, length), room.values.narrow(-2, 0, length), padding
        )
        extended.room = room
        return extended


def _writable(room: Room, past: int, length: int) -> bool:
    """Whether positions `past` to `length` are there, free, and may be written to."""
    if room.keys.is_inference() and not torch.is_inference_mode_enabled():
        return False
    return room.used == past and length <= room.keys.size(-2)


def _longer(tensor: Tensor, length: int) -> Tensor:
    """A copy of (B, G, K, D) with room for `length` positions: (B, G, length, D)."""
    batch, heads, past, dim = tensor.shape
    longer = tensor.new_empty(batch, heads, length, dim)
    longer.narrow(-2, 0, past).copy_(tensor)
    return longer


def _joined(
    old: Tensor | None, new: Tensor | None, old_keys: Tensor, new_keys: Tensor
) -> Tensor | None:
    """Which of the keys (B, G, K, D), old and new, are real: bool (B, K), None = all."""
    if old is None and new is None:
        return None
    parts = [
        _all_real(keys) if padding is None else padding
        for keys, padding in ((old_keys, old), (new_keys, new))
    ]
    return torch.cat(parts, dim=1)


def _all_real(keys: Tensor) -> Tensor:
    return keys.new_ones(keys.size(0), keys.size(-2), dtype=torch.bool)
