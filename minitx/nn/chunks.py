"""What recurrences share that compute a sequence in chunks, or in two directions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def in_chunks(x: Tensor, size: int) -> Tensor:
    """Cut time into chunks, the last of which is filled with zeros: (B, H, T, ...).

    -> (B, H, N, size, ...).
    """
    end = (0, 0) * (x.ndim - 3) + (0, -x.size(2) % size)
    return F.pad(x, end).unflatten(2, (-1, size))


def decays(log_g: Tensor) -> Tensor:
    """Return g_t / g_s for s <= t, and 0 for later s: (..., T) -> (..., T, T).

    log_g is the cumulative sum of the logarithms of the decays, none of which is above 1.
    """
    # The differences above the diagonal are positive, and their exponentials could overflow.
    return (log_g[..., :, None] - log_g[..., None, :]).tril().exp().tril()


def half_backwards(x: Tensor, features: int = -1, times: Sequence[int] = (1,)) -> Tensor:
    """Reverse the second half of the features in time: by default (B, T, C) -> (B, T, C).

    `features` is the dimension that is halved, and `times` are those that are reversed.
    """
    forwards, backwards = x.chunk(2, dim=features)
    return torch.cat([forwards, backwards.flip(*times)], dim=features)


def half_backwards_map(weights: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Reverse the second half of the heads of an implicit map in time, and of its values."""
    return half_backwards(weights, 1, (2, 3)), half_backwards(values, 1, (2,))
