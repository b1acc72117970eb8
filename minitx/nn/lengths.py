"""How long padded sequences are, as the host must know it to pack them for a recurrence.

Masks live on the device of the batch, and a host that reads one waits until the device has done
all that was asked of it before. So each mask is read once, for all layers and both directions; and
not at all where `keep_on_host` was told what it was before it went to its device.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


class ByLength(NamedTuple):
    """The rows of a batch from the longest to the shortest.

    lengths  int64 (B,)  real tokens of each row, in that order, on the CPU
    order    int64 (B,)  the rows in that order, on the mask's device
    inverse  int64 (B,)  where each row stands in that order, so that [order][inverse] is as before
    """

    lengths: Tensor
    order: Tensor
    inverse: Tensor


# By the mask itself, for as long as it is in use.
_on_host = WeakTensorKeyDictionary()
_by_length = WeakTensorKeyDictionary()


def keep_on_host(padding: Tensor, on_host: Tensor) -> None:
    """Says that `padding`, on any device, is a copy of `on_host`, on the CPU: bool (B, T) both."""
    if padding is not on_host:  # what is its own key is never forgotten, and need not be kept
        _on_host[padding] = on_host


@torch.compiler.disable
@torch.inference_mode(False)  # or autograd could not use what an evaluation found
def by_length(padding: Tensor) -> ByLength:
    """The lengths of the rows and their order: padding bool (B, T), True = a real token.

    What was found is kept with the mask, which must not be changed in place.
    """
    if padding not in _by_length:
        on_host = _on_host[padding] if padding in _on_host else padding.cpu()
        lengths, order = on_host.sum(dim=1).sort(descending=True)
        # Not blocking on CUDA; on Apple's GPUs that could read what is freed by then.
        there = [
            rows.to(padding.device, non_blocking=padding.is_cuda)
            for rows in (order, order.argsort())
        ]
        _by_length[padding] = ByLength(lengths, *there)
    found: ByLength = _by_length[padding]
    return found
