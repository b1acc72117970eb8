"""Numbers that describe what a head does.

With w(q, k) the weight that query q gives to key k, a measure is the mean over the queries q of

    entropy    - sum over k of w(q, k) ln w(q, k), in nats: 0 for one key, ln n for n equal keys
    distance   sum over k of w(q, k) |q - k|, in tokens
    first      w(q, 0)
    previous   w(q, q - 1)
    same       w(q, q)
    next       w(q, q + 1)

and breadth is the entropy as a fraction of the greatest possible one, the mean over q of ln n if q
may attend to n keys: 0 for one key, 1 for equal weights.

A cross map, whose queries and keys are positions in two texts, has only entropy, breadth, first and

    aligned    Lin's concordance between the place of q in its text and the mean place of its keys,
               sum over k of w(q, k) k, both from 0 to 1: 1 on the diagonal, 0 for equal weights

Implicit weights may be negative and have any sum. There, w(q, k) is the absolute weight as a
fraction of the sum of the absolute weights of its row.

In a causal map the first query can only attend to itself, so it is left out of every mean. Queries
that may attend to nothing are left out as well. A causal map has no next.

Source of the concordance: Lin 1989, "A concordance correlation coefficient to evaluate
reproducibility".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minitx.inspection.tensors import is_causal
from minitx.inspection.weights import AttentionMap


@dataclass(frozen=True)
class HeadMeasures:
    """The measures of one head; None if a measure is not defined or there are no queries.

    `induction` is the score of the head in `minitx.inspection.induction`.
    """

    name: str
    head: int
    entropy: float | None
    distance: float | None
    first: float | None
    previous: float | None
    same: float | None
    next: float | None
    breadth: float | None
    aligned: float | None
    induction: float | None


def measure_heads(
    maps: Sequence[AttentionMap], induction: Mapping[str, Tensor] | None = None
) -> list[HeadMeasures]:
    """Return the measures of every head of every map, in their order.

    `induction` holds the scores (heads,) of `induction_score` by the names of the maps.
    """
    rows = []
    for each in maps:
        two_texts = each.kind == "cross" or each.weights.size(-2) != each.weights.size(-1)
        measures = _of_cross(each.shares) if two_texts else _of_self(each.shares)
        scores = None if induction is None else induction.get(each.name)
        for index, head in enumerate(each.heads):
            values = {name: _number(means[index]) for name, means in measures.items()}
            score = None if scores is None else _number(scores[head])
            rows.append(HeadMeasures(each.name, head, **values, induction=score))
    return rows


def _of_self(weights: Tensor) -> dict[str, Tensor]:
    """weights (H, T, T) -> each measure (H,), NaN if there is no query to measure."""
    position = torch.arange(weights.size(-1))
    distance = (position[:, None] - position).abs().to(weights.dtype)  # (T, T)
    causal = is_causal(weights)
    later = slice(1 if causal else 0, None)
    none = torch.full_like(weights[:, 0, 0], torch.nan)
    measured = _attending(weights)
    return {
        "entropy": _mean(_entropy(weights)[:, later], measured[:, later]),
        "distance": _mean((weights * distance).sum(dim=-1)[:, later], measured[:, later]),
        "first": _mean(weights[:, later, 0], measured[:, later]),
        "previous": _mean(weights.diagonal(-1, dim1=1, dim2=2), measured[:, 1:]),
        "same": _mean(weights.diagonal(dim1=1, dim2=2)[:, later], measured[:, later]),
        "next": none if causal else _mean(weights.diagonal(1, dim1=1, dim2=2), measured[:, :-1]),
        "breadth": _breadth(weights[:, later], measured[:, later]),
        "aligned": none,
    }


def _of_cross(weights: Tensor) -> dict[str, Tensor]:
    """weights (H, Q, K) -> the same measures as `_of_self`, NaN if they are not defined."""
    measured = _attending(weights)
    none = torch.full_like(weights[:, 0, 0], torch.nan)
    return {
        "entropy": _mean(_entropy(weights), measured),
        "distance": none,
        "first": _mean(weights[:, :, 0], measured),
        "previous": none,
        "same": none,
        "next": none,
        "breadth": _breadth(weights, measured),
        "aligned": _aligned(weights, measured),
    }


def _entropy(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(dim=-1)


def _breadth(weights: Tensor, measured: Tensor) -> Tensor:
    """weights (H, Q, K), measured bool (H, Q) -> (H,), NaN if no query has a choice."""
    allowed = weights.ne(0).any(dim=0).sum(dim=-1)  # (Q,): a mask is the same for all heads
    greatest = allowed.clamp(min=1).log().expand(measured.shape)
    return _mean(_entropy(weights), measured) / _mean(greatest, measured)


def _aligned(weights: Tensor, measured: Tensor) -> Tensor:
    """weights (H, Q, K), measured bool (H, Q) -> (H,), NaN if there is no second query."""
    queries, keys = weights.shape[1:]
    place = torch.linspace(0, 1, queries, dtype=weights.dtype).expand(measured.shape)  # (H, Q)
    attended = weights @ torch.linspace(0, 1, keys, dtype=weights.dtype)  # (H, Q)
    x = place - _mean(place, measured)[:, None]
    y = attended - _mean(attended, measured)[:, None]
    apart = (_mean(place, measured) - _mean(attended, measured)) ** 2
    spread = _mean(x * x, measured) + _mean(y * y, measured)
    return (2 * _mean(x * y, measured) / (spread + apart)).where(spread > 0, torch.nan)


def _attending(weights: Tensor) -> Tensor:
    """Return which queries attend to anything: bool (H, Q)."""
    return weights.any(dim=-1)


def _mean(values: Tensor, measured: Tensor) -> Tensor:
    """Return the mean over the queries that are measured: (H, Q) and bool (H, Q) -> (H,)."""
    return values.where(measured, torch.nan).nanmean(dim=-1)


def _number(value: Tensor) -> float | None:
    return None if value.isnan() else float(value)
