"""Sequences of a problem to train on, and longer ones to test whether a model generalises.

Training draws lengths from 1 to `train_length`, all equally often. Val has these lengths, too, so
that nothing is chosen by what a model does beyond them. Test has `TESTED` sequences of each length
to test. None is longer than the context of the model.

Val and test have random streams of their own and are the same for every seed. Sequences that are
longer than `train_length` never occur in training. Short ones do: there are only 1,024 inputs of
parity of length 10. Up to `train_length`, a test therefore shows what was learned, and only beyond
it whether that generalises.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minitx.data.batching.buckets import EVALUATION_TOKENS
from minitx.data.batching.generated import STREAMS, Generated
from minitx.data.batching.problems import Problem
from minitx.data.batching.windows import IGNORE
from minitx.data.random_streams import stream
from minitx.data.tokenizers.text import word_tokenizer
from minitx.errors import UserError

TEST_LENGTHS = (10, 20, 40, 80, 200, 500)
KINDS = 8  # different lengths in a training batch
VALIDATED = 480  # sequences of val
TESTED = 200  # sequences of each length of test
MOST_BYTES = 2**31  # of val and test, which are held in memory


class LengthBatch(NamedTuple):
    """Sequences to evaluate.

    inputs, targets  int64 (B, T)
    length           of all these sequences; None if they have different lengths
    """

    inputs: Tensor
    targets: Tensor
    length: int | None


class Lengths(Generated):
    """The sequences of a problem, and their tokenizer.

    `chances` has the chance level of each length to test, by length.

    Raises UserError if a sequence to train on or to test has more tokens than `context`, if a
    length is listed twice, or if val and test are larger than MOST_BYTES.
    """

    def __init__(
        self, problem: Problem, train_length: int, test_lengths: list[int], context: int
    ) -> None:
        _check_lengths(problem, train_length, test_lengths, context)
        self.problem, self.train_length = problem, train_length
        self.chances = {length: problem.chance(length) for length in test_lengths}
        self.tokenizer = word_tokenizer(problem.words)
        generator = stream(STREAMS["val"], 0)
        rows = _spread(train_length, VALIDATED, min(VALIDATED, train_length))
        inputs, targets = self._padded(generator, rows)
        if (targets == IGNORE).all():
            raise UserError(f"task.train_length={train_length}: such sequences have no answer")
        mixed = torch.from_numpy(generator.permutation(len(inputs)))
        val = _batches(inputs[mixed], targets[mixed], None)
        test = []
        for length in test_lengths:
            sequences = self.drawn(stream(STREAMS["test"], length), length, TESTED)
            if (sequences[1] == IGNORE).all():
                raise UserError(f"task.test_lengths: a sequence of length {length} has no answer")
            test += _batches(*sequences, length)
        self._held_out = {"val": val, "test": test}

    def identifying(self) -> Iterator[Tensor]:
        held_out = [part for batches in self._held_out.values() for b in batches for part in b[:2]]
        return chain(held_out, self.training(stream(0, 0), 4 * KINDS))

    def split(self, name: str) -> list[LengthBatch]:
        """Return the batches of val, whose lengths are mixed, or of test, each of one length."""
        return self._held_out[name]

    def training(self, generator: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of training sequences, int64 (size, T) each, padded.

        They have up to KINDS different lengths, evenly spaced from a random one, so that all
        batches have about as many targets.
        """
        start = int(generator.integers(self.train_length))
        lengths = _spread(self.train_length, size, min(KINDS, size, self.train_length), start)
        return self._padded(generator, lengths)

    def drawn(
        self, generator: np.random.Generator, length: int, size: int
    ) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of sequences of one length, int64 (size, T) each."""
        inputs, targets = self.problem.draw(generator, length, size)
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def _padded(
        self, generator: np.random.Generator, rows: dict[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return `rows[length]` sequences of each length, padded with the first word.

        Padding follows the answers, so no model needs to know where it begins.
        """
        shape = sum(rows.values()), self.problem.width(max(rows))
        inputs, targets = np.zeros(shape, np.int64), np.full(shape, IGNORE)
        first = 0
        for length, size in rows.items():
            place = slice(first, first + size), slice(self.problem.width(length))
            inputs[place], targets[place] = self.problem.draw(generator, length, size)
            first += size
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def _spread(longest: int, size: int, kinds: int, start: int = 0) -> dict[int, int]:
    """Return how many of `size` sequences have each of `kinds` evenly spaced lengths.

    A start below `longest` shifts the lengths; beyond `longest`, they go on with 1.
    """
    lengths = [1 + (start + i * longest // kinds) % longest for i in range(kinds)]
    return {length: len(range(i, size, kinds)) for i, length in enumerate(lengths)}


def _batches(inputs: Tensor, targets: Tensor, length: int | None) -> list[LengthBatch]:
    rows = max(1, EVALUATION_TOKENS // inputs.size(1))
    parts = zip(inputs.split(rows), targets.split(rows), strict=True)
    return [LengthBatch(*part, length) for part in parts]


def _check_lengths(problem: Problem, train: int, test: list[int], context: int) -> None:
    if not test or len(set(test)) < len(test):
        raise UserError(f"task.test_lengths={test}: list one length or more, each of them once")
    for name, lengths in ("train_length", [train]), ("test_lengths", test):
        shortest, longest = min(lengths), max(lengths)
        if shortest < 1:
            raise UserError(f"task.{name}: a length of {shortest} must be at least 1")
        if (needed := problem.width(longest)) > context:
            raise UserError(
                f"task.{name}: a sequence of length {longest} has {needed} tokens, and "
                f"model.context={context} is too short: set model.context={needed} or shorten it"
            )
    tokens = VALIDATED * problem.width(train) + TESTED * sum(map(problem.width, test))
    if (size := 2 * 8 * tokens) > MOST_BYTES:  # inputs and targets, int64
        raise UserError(
            f"task.train_length={train}, task.test_lengths={test}: val and test would have "
            f"{size / 1e9:,.1f} GB, and at most {MOST_BYTES / 1e9:.1f} are possible: shorten them"
        )
