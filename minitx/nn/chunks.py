"""What the recurrences share: chunks, decays, initial decays, precision, and two directions."""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def in_chunks(x: Tensor, size: int) -> Tensor:
    """Cut time into chunks, the last of which is filled with zeros: (B, H, T, ...).

    -> (B, H, N, size, ...).
    """
    end = (0, 0) * (x.ndim - 3) + (0, -x.size(2) % size)
    return F.pad(x, end).unflatten(2, (-1, size))


def decays(log_a: Tensor) -> Tensor:
    """Return a_{s+1} ... a_t for s <= t, and 0 for later s: (..., T) -> (..., T, T).

    It sums the logarithms after s. A difference of two sums from the start would lose digits.
    """
    steps = torch.ones(2 * log_a.shape[-1:], dtype=torch.bool, device=log_a.device)
    sums = log_a[..., None].where(steps.tril(-1), 0.0).cumsum(dim=-2)
    return sums.where(steps.tril(), -torch.inf).exp()


def at_least_single(x: Tensor) -> Tensor:
    """Return x in float32, or x itself if it is in float64.

    A state adds up the errors of all steps, and a sum of logarithms those of all decays. The 8 bits
    of bfloat16 are not enough for either.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def init_time_steps(log_rate: Tensor, step_bias: Tensor, rates: tuple[float, float]) -> None:
    """Set the decays exp(-exp(log_rate) * softplus(step_bias)) as Dao and Gu 2024 do.

    The rates are uniform, and the time steps log-uniform between 0.001 and 0.1.
    """
    log_rate.uniform_(*rates).log_()
    step = step_bias.uniform_(math.log(0.001), math.log(0.1)).exp_()
    step.add_((-(-step).expm1()).log())  # the inverse of softplus


def half_backwards(x: Tensor, features: int = -1, times: Sequence[int] = (1,)) -> Tensor:
    """Reverse the second half of the features in time: by default (B, T, C) -> (B, T, C).

    `features` is the dimension that is halved, and `times` are those that are reversed.
    """
    forwards, backwards = x.chunk(2, dim=features)
    return torch.cat([forwards, backwards.flip(*times)], dim=features)


def in_reading_order(parts: Iterable[Tensor], padding: Tensor | None, causal: bool) -> list[Tensor]:
    """Return inputs (B, T, C) that are zero at padding, in the order in which heads read them.

    A step of zeros leaves a state as it is. With `causal=False`, half of the heads read backwards.
    """
    if padding is not None:
        parts = [part.where(padding[..., None], 0.0) for part in parts]
    return list(parts) if causal else [half_backwards(part) for part in parts]


def half_backwards_map(weights: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Reverse the second half of the heads in time: weights (B, H, T, T), values (B, H, T, D)."""
    return half_backwards(weights, 1, (2, 3)), half_backwards(values, 1, (2,))
