"""The four steps of attention, as a module of `minitx.nn` took them.

    q, k, v    queries, keys, values
    s          scores, scaled if the attention scales them
    w          weights
    y          outputs

No step is computed a second time: these are the tensors that the capture switch hands over.

Letters in shapes: H heads, Q queries, K keys, D features of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minitx.inspection.capture import Attention, recording
from minitx.nn.attention import AttentionRecord


@dataclass(frozen=True)
class Steps:
    """What one attention did for one sequence, head by head: float32, on the CPU.

    `queries` (H, Q, D) and `keys` (H, K, D) are those that are multiplied: after their norm and
    their rotation. Heads that share keys and `values` (H, K, D) have equal ones. `scores`
    (H, Q, K) are those before the mask; `allowed` bool (H, Q, K), True = may attend; `weights`
    (H, Q, K); `outputs` (H, Q, D), before the heads are joined.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    scores: Tensor
    allowed: Tensor
    weights: Tensor
    outputs: Tensor


def steps_of(attention: Attention, forward: Callable[[], Any]) -> Steps:
    """Return the steps that `attention` takes while `forward()` runs it on one sequence.

    If it is called once for each query, the queries are joined again. Raises ValueError if it is
    not called at all.
    """
    records: list[AttentionRecord] = []
    with recording(attention, records.append):
        forward()
    if not records:
        raise ValueError("the attention was not called")

    def joined(name: str) -> Tensor:
        return _alone(torch.cat([getattr(record, name) for record in records], dim=-2))

    return Steps(
        queries=joined("q"),
        keys=_alone(records[0].k),
        values=_alone(records[0].v),
        scores=joined("scores"),
        allowed=torch.cat([_allowed(record) for record in records], dim=-2)[0].cpu(),
        weights=joined("weights"),
        outputs=joined("outputs"),
    )


def _alone(batch: Tensor) -> Tensor:
    """Return the one sequence of a batch, as `Steps` holds it."""
    return batch.detach()[0].to("cpu", torch.float32)


def _allowed(record: AttentionRecord) -> Tensor:
    """Return the mask in full, bool (B, H, Q, K)."""
    if record.allowed is None:
        return torch.ones_like(record.scores, dtype=torch.bool)
    return record.allowed.expand_as(record.scores)
