"""Batches of texts of different lengths, as padded tensors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from minitx.data.batching.buckets import TokenBatches, whole_batches
from minitx.data.batching.ragged import Ragged
from minitx.data.batching.windows import IGNORE
from minitx.data.tokenizers.sequence import BOS, EOS, PAD
from minitx.errors import UserError


class PairBatch(NamedTuple):
    """Sources and targets; the row of one is that of the other.

    source          int64 (B, S)  each ends with <eos>, then <pad>
    source_padding  bool (B, S)   True = a real token
    target_in       int64 (B, T)  <bos>, the target, then <pad>
    target_out      int64 (B, T)  the target, <eos>, then IGNORE
    """

    source: Tensor
    source_padding: Tensor
    target_in: Tensor
    target_out: Tensor

    def unscored(self) -> Self:
        """The same batch with nothing to predict."""
        return self._replace(target_out=torch.full_like(self.target_out, IGNORE))


class LabelBatch(NamedTuple):
    """Texts and their classes.

    tokens   int64 (B, T)  each begins with <bos>, on which a model may gather what it read
    padding  bool (B, T)   True = a real token
    labels   int64 (B,)
    """

    tokens: Tensor
    padding: Tensor
    labels: Tensor

    def unscored(self) -> Self:
        """The same batch with nothing to predict."""
        return self._replace(labels=torch.full_like(self.labels, IGNORE))


def pair_batch(sources: Ragged, targets: Ragged) -> PairBatch:
    """The batch of sources and targets as a tokenizer gives them, nothing before or behind."""
    target_in, _ = pad(targets.with_first(BOS))
    target_out, _ = pad(targets.with_last(EOS), fill=IGNORE)
    return PairBatch(*source_batch(sources), target_in, target_out)


def source_batch(sources: Ragged) -> tuple[Tensor, Tensor]:
    """`source` and `source_padding` of a `PairBatch`, for sources that are yet to be translated."""
    return pad(sources.with_last(EOS))


def label_batch(texts: Ragged, labels: np.ndarray) -> LabelBatch:
    """The batch of texts as a tokenizer gives them, and int64 (B,) labels."""
    return LabelBatch(*text_batch(texts), torch.from_numpy(labels))


def text_batch(texts: Ragged) -> tuple[Tensor, Tensor]:
    """`tokens` and `padding` of a `LabelBatch`, for texts whose label is to be found."""
    return pad(texts.with_first(BOS))


def pad(rows: Ragged, fill: int = PAD) -> tuple[Tensor, Tensor]:
    """Rows side by side: ids int64 (B, longest), and bool (B, longest), True = not filled."""
    real = np.arange(rows.lengths.max(initial=0)) < rows.lengths[:, None]
    ids = np.full(real.shape, fill, np.int64)
    ids[real] = rows.ids
    return torch.from_numpy(ids), torch.from_numpy(real)


class _Scored(Protocol):
    def unscored(self) -> Self:
        """The same batch with nothing to predict."""


Batch = TypeVar("Batch", bound=_Scored, covariant=True)


class Examples(Protocol[Batch]):
    """What batches are made from: a split of pairs, or of texts with labels."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every example on every side, as in a batch: int64 (N, sides)."""

    @property
    def targets(self) -> np.ndarray:
        """How many predictions every example asks for: int64 (N,)."""

    @property
    def tokens(self) -> np.ndarray:
        """What every example adds to the count of tokens seen: int64 (N,)."""

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of some examples."""


@dataclass(frozen=True)
class Subset(Generic[Batch]):
    """Some of the examples: the one of number i is that of `rows[i]`, int64 (n,), among all."""

    examples: Examples[Batch]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> np.ndarray:
        return self.examples.lengths[self.rows]

    @property
    def targets(self) -> np.ndarray:
        return self.examples.targets[self.rows]

    @property
    def tokens(self) -> np.ndarray:
        return self.examples.tokens[self.rows]

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of some of these examples."""
        return self.examples.batch(self.rows[rows])


def drawn_subset(examples: Examples[Batch], share: float) -> Subset[Batch]:
    """A share of the examples, above 0 and at most 1, in the order in which they stand.

    They are drawn, for files are often sorted. The draw is always the same, and the smaller of two
    shares is part of the larger one. Raises UserError where no example is left.
    """
    order = np.random.default_rng(0).permutation(len(examples.lengths))
    rows = np.sort(order[: round(share * len(order))])
    if not len(rows):
        raise UserError(
            f"data.train_fraction={share:g} leaves none of {len(order)} examples to train on"
        )
    return Subset(examples, rows)


class RankBatch(NamedTuple, Generic[Batch]):
    """What one rank holds of a training batch, and what that is a share of.

    tokens   real tokens of the batch, on all ranks: what a run counts
    targets  predictions of the whole step, in all its batches on all ranks: what a sum of losses is
             to be divided by, so that each prediction weighs the same wherever it stands
    """

    batch: Batch
    tokens: int
    targets: int


class TrainingBatches(Dataset[RankBatch[Batch]], Generic[Batch]):
    """Training batches without end, by number, as `TokenBatches` puts them together.

    `batch_tokens` counts the padded tokens of all ranks together. Rank r of the world holds every
    world-th row, from the r-th on, of the batch that a single process would see. Where a batch has
    fewer rows than there are ranks, the others hold its first one with nothing to predict.
    `accumulate` batches make a step.

    Raises UserError where no example fits `context`.
    """

    def __init__(
        self,
        examples: Examples[Batch],
        context: int,
        batch_tokens: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.examples = examples
        self.numbers = TokenBatches(examples.lengths, batch_tokens, seed, context)
        self.mine = slice(rank, None, world_size)
        self.accumulate = accumulate

    def __getitem__(self, batch: int) -> RankBatch[Batch]:
        """This rank's rows of a batch."""
        rows = self.numbers[batch]
        mine = rows[self.mine]
        share = self.examples.batch(mine if len(mine) else rows[:1])
        first = batch - batch % self.accumulate
        step = [self.numbers[first + i] for i in range(self.accumulate)]
        targets = sum(int(self.examples.targets[those].sum()) for those in step)
        tokens = int(self.examples.tokens[rows].sum())
        return RankBatch(share if len(mine) else share.unscored(), tokens, targets)


class WholeBatches(Dataset[Batch], Generic[Batch]):
    """A whole split once, the longest first; `rows[j]` are the examples of batch j, int64 (B,)."""

    def __init__(self, examples: Examples[Batch], batch_tokens: int) -> None:
        self.examples = examples
        self.rows = whole_batches(examples.lengths, batch_tokens)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: int) -> Batch:
        """Batch j. Raises IndexError past the end."""
        return self.examples.batch(self.rows[batch])
