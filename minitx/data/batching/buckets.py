"""Bucketing: batches of examples of similar length, as many as fit in a budget of tokens.

`lengths` is int (N, sides), the number of tokens of each example on each side. A pair has two
sides, source and target. A text to classify has one, and its lengths may be (N,). The size of a
batch is its padded size: rows x (longest source + longest target). Budgets count these tokens.
"""

from collections.abc import Sequence

import numpy as np

from minitx.data.random_streams import stream
from minitx.errors import UserError

# Lengths are similar if they round up to the same multiple of this. With 1, nearly the same
# examples share a batch in every epoch. With 2, they do so half as often, for about 5% of padding.
# With 3, padding is over 10% for words, which are short.
GRAIN = 2

# Tokens in an evaluation batch: enough to keep a device busy, few enough for its memory.
EVALUATION_TOKENS = 8192


class TokenBatches:
    """Endless training batches: epoch after epoch, with each example once in an epoch.

    `[i]` returns the examples of batch i, int64 (rows,). All epochs have `per_epoch` batches, so a
    batch depends only on (seed, i), and a run that resumes at i needs no state. Each epoch draws
    which examples of similar length share a batch, and the order of the batches.

    An example with a side longer than `context` is dropped. An example that exceeds the budget is a
    batch of its own.

    Raises UserError if no example is short enough.
    """

    def __init__(
        self, lengths: np.ndarray, batch_tokens: int, seed: int, context: int | None = None
    ) -> None:
        self.lengths = _by_side(lengths)
        self.seed = seed
        self._kept = _fitting(self.lengths, context)
        # Cut batches as if each example had its group's greatest length. So every draw from a group
        # fits, and the cuts are the same in all epochs.
        rounded = -(-self.lengths[self._kept] // GRAIN) * GRAIN
        groups, self._group = np.unique(rounded[:, ::-1], axis=0, return_inverse=True)
        self._cuts = _cuts(groups[np.sort(self._group)], batch_tokens)
        self._drawn: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def dropped(self) -> int:
        """The number of examples that are too long for training."""
        return len(self.lengths) - len(self._kept)

    @property
    def per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return len(self._cuts) + 1

    def __getitem__(self, batch: int) -> np.ndarray:
        """Return a batch's examples, int64 (rows,), sorted by length. Raises IndexError below 0."""
        if batch < 0:
            raise IndexError(batch)
        return self.epoch(batch // self.per_epoch)[batch % self.per_epoch]

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """Return all batches of an epoch in order."""
        if self._drawn[0] != epoch:
            self._drawn = (epoch, self._draw(epoch))
        return self._drawn[1]

    def padding_fraction(self, epoch: int = 0) -> float:
        """Return the fraction of padding in an epoch's padded tokens."""
        return padding_fraction(self.lengths, self.epoch(epoch))

    def _draw(self, epoch: int) -> list[np.ndarray]:
        random = stream(self.seed, epoch)
        shuffled = random.permutation(len(self._kept))
        order = shuffled[np.argsort(self._group[shuffled], kind="stable")]
        batches = np.split(self._kept[order], self._cuts)
        return [batches[i] for i in random.permutation(len(batches))]


def whole_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Return evaluation batches with each example once, int64 (rows,) each.

    The longest come first, so that a batch too large for memory fails at once. An example that
    exceeds the budget is a batch of its own.
    """
    lengths = _by_side(lengths)
    order = np.lexsort(lengths.T)[::-1]  # by the last side, then by the others
    return np.split(order, _cuts(lengths[order], batch_tokens)) if len(order) else []


def padding_fraction(lengths: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    """Return the fraction of padding in the padded tokens of batches, from 0 to 1."""
    lengths = _by_side(lengths)
    real = sum(lengths[rows].sum() for rows in batches)
    return float(1 - real / sum(len(rows) * lengths[rows].max(0).sum() for rows in batches))


def _by_side(lengths: np.ndarray) -> np.ndarray:
    return lengths[:, None] if lengths.ndim == 1 else lengths


def _fitting(lengths: np.ndarray, context: int | None) -> np.ndarray:
    """Return the examples whose sides all fit in `context`."""
    if context is None:
        return np.arange(len(lengths))
    fitting = np.flatnonzero((lengths <= context).all(axis=1))
    if not len(fitting):
        raise UserError(
            f"all {len(lengths)} training examples are longer than model.context={context}, "
            f"the shortest has {lengths.max(axis=1).min()} tokens: choose a longer context"
        )
    return fitting


def _cuts(lengths: np.ndarray, batch_tokens: int) -> list[int]:
    """Return where batches begin, except the first, if examples are taken in this order."""
    cuts = []
    start, longest = 0, [0] * lengths.shape[1]
    for example, sides in enumerate(lengths.tolist()):
        longest = list(map(max, longest, sides))
        if example > start and (example + 1 - start) * sum(longest) > batch_tokens:
            cuts.append(example)
            start, longest = example, sides
    return cuts
