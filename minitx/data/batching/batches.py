"""Padded batches of texts of different lengths."""

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
    """Sources and targets. Row i of the targets belongs to row i of the sources.

    source          int64 (B, S)  the source, <eos>, then <pad>
    source_padding  bool (B, S)   True = a real token
    target_in       int64 (B, T)  <bos>, the target, then <pad>
    target_out      int64 (B, T)  the target, <eos>, then IGNORE
    """

    source: Tensor
    source_padding: Tensor
    target_in: Tensor
    target_out: Tensor

    def unscored(self) -> Self:
        """Return the same batch without targets."""
        return self._replace(target_out=torch.full_like(self.target_out, IGNORE))


class LabelBatch(NamedTuple):
    """Texts and their labels.

    tokens   int64 (B, T)  <bos>, the text, then <pad>; a model may pool the text in <bos>
    padding  bool (B, T)   True = a real token
    labels   int64 (B,)
    """

    tokens: Tensor
    padding: Tensor
    labels: Tensor

    def unscored(self) -> Self:
        """Return the same batch without labels."""
        return self._replace(labels=torch.full_like(self.labels, IGNORE))


def pair_batch(sources: Ragged, targets: Ragged) -> PairBatch:
    """Return the batch of tokenised sources and targets, which have no <bos> and <eos> yet."""
    target_in, _ = pad(targets.with_first(BOS))
    target_out, _ = pad(targets.with_last(EOS), fill=IGNORE)
    return PairBatch(*source_batch(sources), target_in, target_out)


def source_batch(sources: Ragged) -> tuple[Tensor, Tensor]:
    """Return `source` and `source_padding` of a `PairBatch`, for sources without targets."""
    return pad(sources.with_last(EOS))


def label_batch(texts: Ragged, labels: np.ndarray) -> LabelBatch:
    """Return the batch of tokenised texts and int64 (B,) labels."""
    return LabelBatch(*text_batch(texts), torch.from_numpy(labels))


def text_batch(texts: Ragged) -> tuple[Tensor, Tensor]:
    """Return `tokens` and `padding` of a `LabelBatch`, for texts without labels."""
    return pad(texts.with_first(BOS))


def pad(rows: Ragged, fill: int = PAD) -> tuple[Tensor, Tensor]:
    """Return padded ids, int64 (B, longest), and their mask, bool (B, longest), True = real."""
    real = np.arange(rows.lengths.max(initial=0)) < rows.lengths[:, None]
    ids = np.full(real.shape, fill, np.int64)
    ids[real] = rows.ids
    return torch.from_numpy(ids), torch.from_numpy(real)


class _Scored(Protocol):
    def unscored(self) -> Self:
        """Return the same batch with nothing to predict."""


Batch = TypeVar("Batch", bound=_Scored, covariant=True)


class Examples(Protocol[Batch]):
    """A source of batches: a split of pairs, or of texts with labels."""

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each example on each side, as in a batch, int64 (N, sides)."""

    @property
    def targets(self) -> np.ndarray:
        """The number of predictions for each example, int64 (N,)."""

    @property
    def tokens(self) -> np.ndarray:
        """What each example adds to the number of tokens seen, int64 (N,)."""

    def batch(self, rows: np.ndarray) -> Batch:
        """Return the batch of some examples."""


@dataclass(frozen=True)
class Subset(Generic[Batch]):
    """Some of the examples. Example i is example `rows[i]`, int64 (n,), of all."""

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
        """Return the batch of some of these examples."""
        return self.examples.batch(self.rows[rows])


def drawn_subset(examples: Examples[Batch], fraction: float) -> Subset[Batch]:
    """Return a fraction of the examples, above 0 and at most 1, in their order.

    They are drawn at random, because files are often sorted. The draw is always the same, and a
    smaller subset is part of a larger one. Raises UserError if no example is left.
    """
    order = np.random.default_rng(0).permutation(len(examples.lengths))
    rows = np.sort(order[: round(fraction * len(order))])
    if not len(rows):
        raise UserError(
            f"data.train_fraction={fraction:g} leaves none of {len(order)} examples to train on"
        )
    return Subset(examples, rows)


class RankBatch(NamedTuple, Generic[Batch]):
    """One rank's part of a training batch, with the totals over all ranks.

    tokens   the real tokens of the batch on all ranks, as counted by a run
    targets  the predictions of the whole step, in all its batches on all ranks. The sum of losses
             is divided by them, so that all predictions have the same weight.
    """

    batch: Batch
    tokens: int
    targets: int


class TrainingBatches(Dataset[RankBatch[Batch]], Generic[Batch]):
    """Endless training batches, as `TokenBatches` composes them.

    `batch_tokens` counts padded tokens over all ranks. Rank r has rows r, r + world_size, ... of
    the batch that a single process would see. If a batch has fewer rows than there are ranks, the
    other ranks have its first row with nothing to predict. A step has `accumulate` batches.

    Raises UserError if no example fits in `context`.
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
        self.rank_rows = slice(rank, None, world_size)
        self.accumulate = accumulate

    def __getitem__(self, batch: int) -> RankBatch[Batch]:
        """Return this rank's rows of a batch."""
        rows = self.numbers[batch]
        own = rows[self.rank_rows]
        part = self.examples.batch(own if len(own) else rows[:1])
        first = batch - batch % self.accumulate
        step = [self.numbers[first + i] for i in range(self.accumulate)]
        targets = sum(int(self.examples.targets[those].sum()) for those in step)
        tokens = int(self.examples.tokens[rows].sum())
        return RankBatch(part if len(own) else part.unscored(), tokens, targets)


class WholeBatches(Dataset[Batch], Generic[Batch]):
    """A whole split, the longest first. Batch j has the examples `rows[j]`, int64 (B,)."""

    def __init__(self, examples: Examples[Batch], batch_tokens: int) -> None:
        self.examples = examples
        self.rows = whole_batches(examples.lengths, batch_tokens)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: int) -> Batch:
        """Return batch j. Raises IndexError past the end."""
        return self.examples.batch(self.rows[batch])
