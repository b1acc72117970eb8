"""The key/value cache: the keys and values of the positions that attention has read.

Joining old and new keys with torch.cat would copy all old keys for every new token. Here the old
keys are the beginning of a larger tensor, and new keys are written after them.

A state still behaves like a value. A position that belongs to a state is never written again. Only
the latest state may write after its end. If an earlier state is continued once more, it gets a
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
class Buffer:
    """Memory for the keys and values of P positions (B, G, P, D), of which `used` are written."""

    keys: Tensor
    values: Tensor
    used: int


class KeyValues(_Tensors):
    """The state of attention: keys and values so far (B, G, K, D), and their padding (B, K).

    Without padding, all keys are real. `buffer` is the buffer that they are the start of. It is
    not part of the tuple, so that a state made of other tensors has no buffer.
    """

    buffer: Buffer | None = None

    def extended(self, keys: Tensor, values: Tensor, padding: Tensor | None = None) -> "KeyValues":
        """Return the state with T more positions: keys, values (B, G, T, D), padding (B, T)."""
        padding = _joined(self, KeyValues(keys, values, padding))
        if torch.is_grad_enabled():  # autograd forbids writing to tensors that it has read
            joined = torch.cat([self.keys, keys], dim=-2), torch.cat([self.values, values], dim=-2)
            return KeyValues(*joined, padding)
        past, length = self.keys.size(-2), self.keys.size(-2) + keys.size(-2)
        buffer = self.buffer
        if buffer is None or not _writable(buffer, past, length):
            # Twice the length, so that each position is copied once on average. The first time it
            # is exact, because beam search makes new tensors after each step and would waste it.
            positions = length if buffer is None else 2 * length
            buffer = Buffer(_longer(self.keys, positions), _longer(self.values, positions), past)
        buffer.keys.narrow(-2, past, length - past).copy_(keys)
        buffer.values.narrow(-2, past, length - past).copy_(values)
        buffer.used = length
        filled = buffer.keys.narrow(-2, 0, length), buffer.values.narrow(-2, 0, length)
        extended = KeyValues(*filled, padding)
        extended.buffer = buffer
        return extended


def _writable(buffer: Buffer, past: int, length: int) -> bool:
    """Return whether positions `past` to `length` exist, are free, and may be written to."""
    if buffer.keys.is_inference() and not torch.is_inference_mode_enabled():
        return False
    return buffer.used == past and length <= buffer.keys.size(-2)


def _longer(tensor: Tensor, length: int) -> Tensor:
    """Return a copy of (B, G, K, D) with memory for `length` positions: (B, G, length, D)."""
    batch, heads, past, dim = tensor.shape
    longer = tensor.new_empty(batch, heads, length, dim)
    longer.narrow(-2, 0, past).copy_(tensor)
    return longer


def _joined(*parts: KeyValues) -> Tensor | None:
    """Return the padding of the parts, concatenated: bool (B, K), or None if all are real."""
    if all(part.padding is None for part in parts):
        return None
    return torch.cat([_real(part) for part in parts], dim=1)


def _real(part: KeyValues) -> Tensor:
    if part.padding is not None:
        return part.padding
    batch, _, length, _ = part.keys.shape
    return part.keys.new_ones(batch, length, dtype=torch.bool)
