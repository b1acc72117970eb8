"""Windows of a split for language modelling: predict each token from the tokens before it."""

import mmap

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from minitx.data.random_streams import stream
from minitx.errors import UserError

IGNORE = -100  # a target without loss, as in torch's cross-entropy
LARGE = 2**25  # bytes; the pages of a smaller file may stay in memory


class RandomWindows(Dataset[tuple[Tensor, Tensor]]):
    """Endless training batches of windows with uniformly drawn starts.

    `tokens` is (N,). `batch_size` is the number of windows over all ranks. Batch i depends only on
    (seed, i), so a run that resumes at step i continues exactly. A rank has its slice of the batch
    that a single process would see.

    Raises UserError if the split is shorter than a window and its last target, or if the ranks do
    not divide the batch.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        context: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _require_window(tokens, context)
        self.tokens = tokens
        self.batch_size = batch_size
        self.seed = seed
        self.rank_rows = rows_of_rank(batch_size, rank, world_size)
        self.offsets = np.arange(context + 1)

    def __getitem__(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, int64 (batch_size / world_size, context) each."""
        starts = stream(self.seed, batch).integers(
            len(self.tokens) - len(self.offsets) + 1, size=self.batch_size
        )
        windows = self.tokens[starts[self.rank_rows, None] + self.offsets].astype(np.int64)
        _release(self.tokens)
        return torch.from_numpy(windows[:, :-1].copy()), torch.from_numpy(windows[:, 1:].copy())


class DisjointWindows(Dataset[tuple[Tensor, Tensor]]):
    """A whole split in order, for evaluation. Each target is in exactly one window.

    N tokens have N - 1 targets. Window j has the targets from j * context on. The last window is
    padded with input 0 and target `IGNORE`.

    Raises UserError if the split is shorter than a window and its last target.
    """

    def __init__(self, tokens: np.ndarray, context: int) -> None:
        _require_window(tokens, context)
        self.tokens = tokens
        self.context = context

    def __len__(self) -> int:
        return -(-(len(self.tokens) - 1) // self.context)

    def __getitem__(self, window: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, int64 (context,) each. Raises IndexError past the end."""
        if not 0 <= window < len(self):
            raise IndexError(window)
        start = window * self.context
        piece = self.tokens[start : start + self.context + 1].astype(np.int64)
        _release(self.tokens)
        inputs = np.zeros(self.context, np.int64)
        targets = np.full(self.context, IGNORE)
        inputs[: len(piece) - 1] = piece[:-1]
        targets[: len(piece) - 1] = piece[1:]
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def rows_of_rank(batch_size: int, rank: int, world_size: int) -> slice:
    """Return the rows of a batch that a rank trains on. Raises UserError if they do not divide."""
    if batch_size % world_size:
        raise UserError(
            f"data.batch_size={batch_size} must be a multiple of the {world_size} devices"
        )
    rows = batch_size // world_size
    return slice(rank * rows, (rank + 1) * rows)


def _require_window(tokens: np.ndarray, context: int) -> None:
    if len(tokens) <= context:
        raise UserError(
            f"a split of {len(tokens)} tokens is too short for model.context={context}, which "
            f"needs {context + 1}: choose a shorter context or give more text; data.val_fraction "
            "says how much of your own text is val"
        )


def _release(tokens: np.ndarray) -> None:
    """Release the pages of a mapped file. They stay in the system's page cache.

    Pages count as memory of the process, and the system maps far more than is read: without this,
    a few thousand windows of a file of 1 GB take 1 GB. Only a read-only map may be released.
    """
    mapped = isinstance(tokens, np.memmap) and tokens.mode == "r" and tokens.nbytes > LARGE
    if mapped and isinstance(tokens.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        tokens.base.madvise(mmap.MADV_DONTNEED)
