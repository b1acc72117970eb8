"""A language model measured window by window, and position by position."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from minitx.data.batching.windows import IGNORE
from minitx.data.progress import announced, progress
from minitx.metrics.scores import Score, ratio
from minitx.metrics.token_metrics import perplexity
from minitx.tasks.base import Evaluation


def evaluate_windows(
    model: nn.Module,
    windows: Dataset[Any],
    batch_size: int,
    byte_lengths: Tensor | None,
    doing: str,
    clusters: np.ndarray | None = None,
) -> Evaluation:
    """Return the loss, the accuracy and, with `byte_lengths`, the bits per byte of a whole split.

    `windows` holds inputs and targets, int64 (context,) each. `byte_lengths`, int64 (vocab_size,),
    is the number of bytes that each token stands for. Intervals are bootstrapped over `clusters`
    of windows, int64 (n,), or over windows if they are None.
    """
    loader = DataLoader(windows, batch_size=batch_size)
    sums, by_position = window_sums(model, loader, byte_lengths, doing)
    with announced("scoring"):
        scores = scores_of_windows(sums, clusters, byte_lengths is not None)
        return Evaluation.of_scores(scores, clusters, by_position=by_position)


@torch.inference_mode()
def window_sums(
    model: nn.Module, batches: Any, byte_lengths: Tensor | None, doing: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is counted in each window, and at each position.

    `batches` have inputs and targets, int64 (B, T) each, and may differ in T. The first array,
    float64 (n, 4), has the nats, tokens, correct tokens and bytes of each window, the second one,
    float64 (T, 2), the nats and tokens at each position.
    """
    device = next(model.parameters()).device
    of_windows: list[np.ndarray] = []
    by_position = np.zeros((1, 2))
    with progress() as watch:
        for batch in watch(doing, batches, len(batches), lambda _: 1):
            inputs, targets = move_data_to_device(batch, device)
            logits, _ = model(inputs)
            scored = targets != IGNORE  # (B, T)
            nats = F.cross_entropy(
                logits.mT.float(), targets, reduction="none", ignore_index=IGNORE
            )
            right = (logits.argmax(dim=-1) == targets) & scored
            lengths = torch.zeros_like(targets)
            if byte_lengths is not None:
                lengths = byte_lengths.to(device)[targets.clamp(min=0)] * scored
            # On the CPU, because not every device has float64.
            parts = [part.cpu().double() for part in (nats, scored, right, lengths)]
            of_windows.append(torch.stack([part.sum(dim=1) for part in parts], dim=1).numpy())
            sums = torch.stack([part.sum(dim=0) for part in parts[:2]], dim=1).numpy()
            longest = max(len(by_position), len(sums))
            by_position = _extended(by_position, longest) + _extended(sums, longest)
    return np.concatenate(of_windows), by_position


def _extended(sums: np.ndarray, length: int) -> np.ndarray:
    """Return sums (T, 2) with zeros appended, (length, 2)."""
    return np.pad(sums, ((0, length - len(sums)), (0, 0)))


def scores_of_windows(
    of_windows: np.ndarray, clusters: np.ndarray | None, has_bytes: bool
) -> dict[str, Score]:
    """Return the scores of windows by name; `of_windows` is the first array of `window_sums`."""
    nats, tokens, right, lengths = of_windows.T
    loss, right_ones = (ratio(parts, tokens, clusters) for parts in (nats, right))
    scores = {"loss": loss, "accuracy": right_ones}
    value, low, high = map(perplexity, (loss.value, loss.low, loss.high))
    scores["perplexity"] = Score(value, low, high)
    if has_bytes:
        bits = ratio(nats / math.log(2), lengths, clusters)
        scores["bits_per_byte"] = replace(bits, items=np.stack([nats, lengths], axis=1))
    return scores
