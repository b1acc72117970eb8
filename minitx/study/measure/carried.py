"""Measure what a recurrence gains if its state is carried over from window to window."""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minitx.data.batching.windows import DisjointWindows
from minitx.models.language_model import LanguageModel

STREAMS = 8  # parts of a split that are read side by side


@torch.inference_mode()
def by_position(model: LanguageModel, windows: DisjointWindows) -> np.ndarray:
    """Return mean nats at each position without and with the state carried over (context, 2).

    The model reads successive windows, which it has to be in eval mode for. Each window but the
    first of a stream is read twice: from an empty state, and from the state after the window before
    it. The last window is left out, because it may be padded. Of a split that is too short there
    are no positions, (0, 2).
    """
    device = next(model.parameters()).device
    full = len(windows) - 1
    streams = max(1, min(STREAMS, full // 2))
    length = full // streams
    if length < 2:
        return np.empty((0, 2))
    sums = np.zeros((windows.context, 2))
    firsts = range(0, streams * length, length)
    batches = (_batch(windows, [first + j for first in firsts], device) for j in range(length))
    state = None
    for (before, _), (inputs, targets) in pairwise(batches):
        state = model(before, state=state, logits=False)[1]
        for column, start in enumerate((None, state)):
            logits, _ = model(inputs, state=start)
            nats = F.cross_entropy(logits.mT.float(), targets, reduction="none")
            sums[:, column] += nats.sum(dim=0).cpu().double().numpy()
    return sums / (streams * (length - 1))


def _batch(
    windows: DisjointWindows, numbers: list[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the inputs and targets of some windows, int64 (windows, context) each."""
    inputs, targets = zip(*(windows[number] for number in numbers), strict=True)
    return torch.stack(inputs).to(device), torch.stack(targets).to(device)
