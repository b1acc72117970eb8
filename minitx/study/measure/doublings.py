"""Measure what a longer context gains: the loss of the same tokens, predicted from more and more.

The loss at a position of a window is that of other tokens than at the next position, and some
tokens are easier than others. Here all contexts predict the same tokens.
"""

import numpy as np
import torch
import torch.nn.functional as F

from minitx.data.module import evaluation_batch
from minitx.models.language_model import LanguageModel
from minitx.study.statistics.lengths import doublings

TARGETS = 2**16  # about; they are spread over the split, and each is predicted in every context


def by_context(
    model: LanguageModel, tokens: np.ndarray, context: int, clusters: np.ndarray
) -> list[dict[str, int | float]]:
    """Return rows with the `nats` of the same `targets`, by `context` and by `cluster`.

    At a context of n, each target is predicted from more than half of n and at most n tokens,
    because only the later half of each window counts, and windows begin half of n apart. The model
    has to be in eval mode. `tokens` is a split, int (N,), with N > context. `clusters` has the
    cluster of each disjoint window of `context` tokens.
    """
    blocks = _blocks(len(tokens) - 1, context)
    of_targets = clusters[blocks // context]
    known, numbers = np.unique(of_targets, return_inverse=True)
    numbers = numbers.reshape(-1)
    counts = np.bincount(numbers)
    rows: list[dict[str, int | float]] = []
    for length in doublings(context):
        nats = _nats(model, tokens, blocks, length)
        sums = np.bincount(numbers, weights=nats.ravel())
        rows += (
            {"context": length, "cluster": int(cluster), "nats": total, "targets": int(number)}
            for cluster, total, number in zip(known, sums, counts, strict=True)
        )
    return rows


def _blocks(targets: int, context: int) -> np.ndarray:
    """Return the numbers of the targets to predict, int64 (blocks, later half of the context).

    The split has that many `targets`, at least `context`; target t is token t + 1. Each block has
    half of a context before it. Of a split with more than `TARGETS`, blocks at equal distances are
    taken.
    """
    early = context // 2
    size = context - early
    fitting = (targets - early) // size
    chosen = np.linspace(0, fitting - 1, min(fitting, max(1, TARGETS // size))).astype(int)
    return early + size * chosen[:, None] + np.arange(size)


@torch.inference_mode()
def _nats(model: LanguageModel, tokens: np.ndarray, blocks: np.ndarray, length: int) -> np.ndarray:
    """Return the nats of each target in windows of this length, float64 like `blocks`."""
    device = next(model.parameters()).device
    early = length // 2  # predicted from half of the window or less
    starts = blocks[:, :1] - early + np.arange(0, blocks.shape[1], length - early)
    places = starts.reshape(-1, 1) + np.arange(length + 1)  # (windows, length + 1)
    windows = tokens[np.minimum(places, len(tokens) - 1)].astype(np.int64)  # beyond it: not counted
    found = []
    for batch in torch.from_numpy(windows).split(evaluation_batch(length)):
        inputs, targets = batch[:, :-1].to(device), batch[:, early + 1 :].to(device)
        logits, _ = model(inputs)
        nats = F.cross_entropy(logits[:, early:].mT.float(), targets, reduction="none")
        found.append(nats.flatten().cpu().double().numpy())
    return np.concatenate(found).reshape(len(blocks), -1)[:, : blocks.shape[1]]
