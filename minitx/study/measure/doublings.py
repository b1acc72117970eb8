"""Measure what a longer context gains: the loss of the same tokens, predicted from more and more.

The loss at a position of a window is that of other tokens than at the next position, and some
tokens are easier than others. Here all contexts predict the same tokens.
"""

import numpy as np
import torch
import torch.nn.functional as F

from minitx.models.language_model import LanguageModel
from minitx.study.statistics.lengths import doublings

TARGETS = 2**18  # at most, from the start of a split: each of them is predicted in every context
BATCH = 8_192  # tokens


def by_context(
    model: LanguageModel, tokens: np.ndarray, context: int, clusters: np.ndarray
) -> list[dict[str, int | float]]:
    """Return rows with the `nats` of the same `targets`, by `context` and by `cluster`.

    At a context of n, each target is predicted from more than half of n and at most n tokens,
    because only the later half of each window counts, and windows begin half of n apart. The model
    has to be in eval mode. `tokens` is a split, int (N,), with N > context. `clusters` has the
    cluster of each disjoint window of `context` tokens.
    """
    first = context // 2  # the earlier targets have no half of the longest context before them
    count = min(TARGETS, len(tokens) - 1 - first)
    used = np.asarray(tokens[: first + count + 1], np.int64)
    padded = np.pad(used, (0, context))  # for the last window of each context
    of_targets = clusters[(first + np.arange(count)) // context]
    known, numbers = np.unique(of_targets, return_inverse=True)
    counts = np.bincount(numbers)
    rows: list[dict[str, int | float]] = []
    for length in doublings(context):
        nats = _nats(model, padded[first - length // 2 :], length, count)
        sums = np.bincount(numbers, weights=nats)
        rows += (
            {"context": length, "cluster": int(cluster), "nats": total, "targets": int(number)}
            for cluster, total, number in zip(known, sums, counts, strict=True)
        )
    return rows


@torch.inference_mode()
def _nats(model: LanguageModel, tokens: np.ndarray, length: int, count: int) -> np.ndarray:
    """Return the nats of targets from the middle of the first window on, float64 (count,)."""
    device = next(model.parameters()).device
    early = length // 2  # predicted from half of the window or less
    starts = np.arange(0, count, length - early)
    windows = tokens[starts[:, None] + np.arange(length + 1)]  # (windows, length + 1)
    found = []
    for batch in torch.from_numpy(windows).split(max(1, BATCH // length)):
        inputs, targets = batch[:, :-1].to(device), batch[:, early + 1 :].to(device)
        logits, _ = model(inputs)
        nats = F.cross_entropy(logits[:, early:].mT.float(), targets, reduction="none")
        found.append(nats.flatten().cpu().double().numpy())
    return np.concatenate(found)[:count]
