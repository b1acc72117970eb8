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
        padding = _joined(self, KeyValues(keys, values, padding))
        if torch.is_grad_enabled():  # autograd needs all that it has read to stay as it was
            joined = torch.cat([self.keys, keys], dim=-2), torch.cat([self.values, values], dim=-2)
            return KeyValues(*joined, padding)
        past, length = self.keys.size(-2), self.keys.size(-2) + keys.size(-2)
        room = self.room
        if room is None or not _writable(room, past, length):
            # Room for as many again, so that each position is copied once on average. Not yet at
            # the first time: beam search moves the rows after each step, and would waste it.
            positions = length if room is None else 2 * length
            room = Room(_longer(self.keys, positions), _longer(self.values, positions), past)
        room.keys.narrow(-2, past, length - past).copy_(keys)
        room.values.narrow(-2, past, length - past).copy_(values)
        room.used = length
        filled = room.keys.narrow(-2, 0, length), room.values.narrow(-2, 0, length)
        extended = KeyValues(*filled, padding)
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


def _joined(*parts: KeyValues) -> Tensor | None:
    """Which keys of the parts are real, one part behind the other: bool (B, K), None = all."""
    if all(part.padding is None for part in parts):
        return None
    return torch.cat([_real(part) for part in parts], dim=1)


def _real(part: KeyValues) -> Tensor:
    if part.padding is not None:
        return part.padding
    batch, _, length, _ = part.keys.shape
    return part.keys.new_ones(batch, length, dtype=torch.bool)
