"""A language model measured window by window, and position by position."""

import math
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


@torch.inference_mode()
def evaluate_windows(
    model: nn.Module,
    windows: Dataset[Any],
    batch_size: int,
    byte_lengths: Tensor | None,
    doing: str,
) -> Evaluation:
    """Return the loss, the accuracy and, with `byte_lengths`, the bits per byte of a whole split.

    `windows` holds inputs and targets, int64 (context,) each. `byte_lengths`, int64 (vocab_size,),
    is the number of bytes that each token stands for. Intervals are bootstrapped over windows.
    """
    device = next(model.parameters()).device
    loader = DataLoader(windows, batch_size=batch_size)
    # For each window its nats, tokens, correct tokens and bytes: (n, 4). For each position its nats
    # and tokens.
    of_windows: list[np.ndarray] = []
    by_position = np.zeros((1, 2))
    with progress() as watch:
        for batch in watch(doing, loader, len(loader), lambda _: 1):
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
            sums = torch.stack([part.sum(dim=0) for part in parts[:2]], dim=1)
            by_position = by_position + sums.numpy()
    with announced("scoring"):
        return _evaluation(np.concatenate(of_windows), by_position, byte_lengths is not None)


def _evaluation(of_windows: np.ndarray, by_position: np.ndarray, has_bytes: bool) -> Evaluation:
    nats, tokens, right, lengths = of_windows.T
    scores = {"loss": ratio(nats, tokens), "accuracy": ratio(right, tokens)}
    items = {name: s.items for name, s in scores.items() if s.items is not None}
    loss = scores["loss"]
    value, low, high = map(perplexity, (loss.value, loss.low, loss.high))
    scores["perplexity"] = Score(value, low, high)
    if has_bytes:
        scores["bits_per_byte"] = ratio(nats / math.log(2), lengths)
        items["bits_per_byte"] = np.stack([nats, lengths], axis=1)
    return Evaluation(
        metrics={name: score.value for name, score in scores.items()},
        intervals={name: (score.low, score.high) for name, score in scores.items()},
        items=items,
        by_position=by_position,
    )
