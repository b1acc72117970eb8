"""Sequences that are drawn from a seed, with answers at some of their positions."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from minitx.data.batching.windows import IGNORE, rows_of_rank
from minitx.data.random_streams import stream
from minitx.data.tokenizers.text import Tokenizer

# The random streams of val and test. The streams of training have seeds below 2**32.
STREAMS = {"val": 2**32, "test": 2**32 + 1}


class Generated(ABC):
    """Endless training sequences, and always the same ones for val and test.

    A target is the answer at its position, not the next token, and IGNORE without an answer.
    """

    splits = tuple(STREAMS)
    tokenizer: Tokenizer

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the tokenizer, of all held-out and of some training sequences.

        It changes with the sequences, so also with a numpy that draws other numbers.
        """
        found = hashlib.sha256(self.tokenizer.fingerprint.encode())
        for part in self.identifying():
            found.update(part.numpy().astype("<i8").tobytes())
        return found.hexdigest()

    @abstractmethod
    def identifying(self) -> Iterable[Tensor]:
        """Yield all held-out and some training sequences, int64 each."""

    @abstractmethod
    def split(self, name: str) -> Any:
        """Return the sequences of val or test."""

    @abstractmethod
    def training(self, generator: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of training sequences, int64 (size, T) each."""


class AnswerBatch(NamedTuple):
    """Training sequences and the places of their answers.

    inputs, targets  int64 (B, T)
    asked            int64 (answers,)  where the flattened targets are not IGNORE. Computed on a
                     device, the host would have to wait for their number.
    """

    inputs: Tensor
    targets: Tensor
    asked: Tensor


class AnswerBatches(Dataset[AnswerBatch]):
    """Endless training batches of `batch_size` sequences over all ranks.

    Batch i depends only on (seed, i), and a rank has its slice of it, as in `RandomWindows`. Raises
    UserError if the ranks do not divide the batch.
    """

    def __init__(
        self, store: Generated, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed
        self.rank_rows = rows_of_rank(batch_size, rank, world_size)

    def __getitem__(self, batch: int) -> AnswerBatch:
        """Return this rank's batch_size / world_size sequences of a batch."""
        inputs, targets = self.store.training(stream(self.seed, batch), self.batch_size)
        inputs, targets = inputs[self.rank_rows], targets[self.rank_rows]
        return AnswerBatch(inputs, targets, (targets.flatten() != IGNORE).nonzero()[:, 0])


def distinct(generator: np.random.Generator, rows: int, n: int, k: int) -> np.ndarray:
    """Return rows of k different numbers below n in random order, int64 (rows, k)."""
    return generator.random((rows, n)).argsort(axis=1)[:, :k]
