"""The lengths of padded sequences, which the host must know to pack them for a recurrence.

A padding mask is on the device of its batch. A host that reads it waits until the device has
finished its earlier work. Each mask is therefore read once, for all layers and both directions. It
is not read at all if `keep_on_host` kept a copy before it went to the device.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


class ByLength(NamedTuple):
    """The rows of a batch from the longest to the shortest.

    lengths  int64 (B,)  real tokens of each row, in that order, on the CPU
    order    int64 (B,)  the rows in that order, on the mask's device
    inverse  int64 (B,)  the place of each row in that order: [order][inverse] changes nothing
    """

    lengths: Tensor
    order: Tensor
    inverse: Tensor


# The keys are masks. An entry lasts as long as its mask is in use.
_on_host = WeakTensorKeyDictionary()
_by_length = WeakTensorKeyDictionary()


def keep_on_host(padding: Tensor, on_host: Tensor) -> None:
    """Keep `on_host`, on the CPU, as the copy of `padding`, on any device: bool (B, T) both."""
    if padding is not on_host:  # an entry that is its own key would never be freed
        _on_host[padding] = on_host


@torch.inference_mode(False)  # so that autograd can use the lengths found in an evaluation
def by_length(padding: Tensor) -> ByLength:
    """Return the lengths of the rows and their order: padding bool (B, T), True = a real token.

    The result is kept with the mask, which must not be changed in place.
    """
    if padding not in _by_length:
        on_host = _on_host[padding] if padding in _on_host else padding.cpu()
        lengths, order = on_host.sum(dim=1).sort(descending=True)
        # Not blocking on CUDA. On Apple's GPUs, a copy that does not block could read freed memory.
        there = [
            rows.to(padding.device, non_blocking=padding.is_cuda)
            for rows in (order, order.argsort())
        ]
        _by_length[padding] = ByLength(lengths, *there)
    found: ByLength = _by_length[padding]
    return found
