"""Which examples make up which batch: those of like length, as many as a budget of tokens holds.

`lengths` is int (N, sides): the tokens of every example on every side, source and target, or the
one side of a text to classify; (N,) is taken as one side. A batch of rows costs what it occupies
once padded: rows x (longest source + longest target). A budget is in these tokens.
"""

from collections.abc import Sequence

import numpy as np

from minitx.data.random_streams import stream
from minitx.errors import UserError

# Lengths that round up to the same multiple of this are of like length. With 1, nearly the same
# examples meet in every epoch. With 2, they meet half as often, for about 5% of padding. With 3,
# words, which are short, are padded by more than a tenth.
GRAIN = 2

# Tokens in a batch of evaluation: large enough to keep a device busy, small enough for its memory.
EVALUATION_TOKENS = 8192


class TokenBatches:
    """Batches to train on, without end: epoch after epoch, each example once an epoch.

    `[i]` gives the examples of batch i, int64 (rows,). All epochs have `per_epoch` batches, so i
    alone tells where it belongs, and a batch depends on (seed, i) only: a run that resumes at i
    needs no state. Which of the examples of like length meet, and the order of the batches, are
    drawn for each epoch.

    An example with a side over `context` is left out; `dropped` says how many were. One that alone
    exceeds the budget makes a batch by itself.

    Raises UserError where no example is short enough.
    """

    def __init__(
        self, lengths: np.ndarray, batch_tokens: int, seed: int, context: int | None = None
    ) -> None:
        self.lengths = _by_side(lengths)
        self.seed = seed
        self._kept = _fitting(self.lengths, context)
        # Batches are cut as if each example had its group's greatest length. So they hold whichever
        # examples of a group they are given, and the cuts are the same in all epochs.
        rounded = -(-self.lengths[self._kept] // GRAIN) * GRAIN
        groups, self._group = np.unique(rounded[:, ::-1], axis=0, return_inverse=True)
        self._cuts = _cuts(groups[np.sort(self._group)], batch_tokens)
        self._drawn: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def dropped(self) -> int:
        """How many examples are never trained on, for their length."""
        return len(self.lengths) - len(self._kept)

    @property
    def per_epoch(self) -> int:
        """How many batches make an epoch."""
        return len(self._cuts) + 1

    def __getitem__(self, batch: int) -> np.ndarray:
        """The examples of a batch, int64 (rows,), sorted by length. IndexError below 0."""
        if batch < 0:
            raise IndexError(batch)
        return self.epoch(batch // self.per_epoch)[batch % self.per_epoch]

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """All batches of an epoch, in order."""
        if self._drawn[0] != epoch:
            self._drawn = (epoch, self._draw(epoch))
        return self._drawn[1]

    def padding_share(self, epoch: int = 0) -> float:
        """The share of an epoch's padded tokens that is padding."""
        return padding_share(self.lengths, self.epoch(epoch))

    def _draw(self, epoch: int) -> list[np.ndarray]:
        random = stream(self.seed, epoch)
        shuffled = random.permutation(len(self._kept))
        order = shuffled[np.argsort(self._group[shuffled], kind="stable")]
        batches = np.split(self._kept[order], self._cuts)
        return [batches[i] for i in random.permutation(len(batches))]


def whole_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Every example once, for evaluation: batches within the budget, int64 (rows,) each.

    The longest come first, so that what does not fit a memory fails at once. An example that alone
    exceeds the budget makes a batch by itself.
    """
    lengths = _by_side(lengths)
    order = np.lexsort(lengths.T)[::-1]  # by the last side, then by those before
    return np.split(order, _cuts(lengths[order], batch_tokens)) if len(order) else []


def padding_share(lengths: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    """The share of padding in the padded tokens of batches, from 0 to 1."""
    lengths = _by_side(lengths)
    real = sum(lengths[rows].sum() for rows in batches)
    return float(1 - real / sum(len(rows) * lengths[rows].max(0).sum() for rows in batches))


def _by_side(lengths: np.ndarray) -> np.ndarray:
    return lengths.reshape(len(lengths), -1)


def _fitting(lengths: np.ndarray, context: int | None) -> np.ndarray:
    """The examples with no side over `context`."""
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
    """Where batches begin, but for the first, when examples are taken in this order."""
    cuts = []
    start, longest = 0, [0] * lengths.shape[1]
    for example, sides in enumerate(lengths.tolist()):
        longest = list(map(max, longest, sides))
        if example > start and (example + 1 - start) * sum(longest) > batch_tokens:
            cuts.append(example)
            start, longest = example, sides
    return cuts
