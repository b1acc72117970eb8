"""Multi-query associative recall: sequences that name pairs and then ask for them.

A sequence begins with `pairs` keys, each followed by its value. Behind them, among filler, every
key stands once more at a random place, and its value follows again:

    k3 v7  k9 v1  k4 v4  . . k9 v1 . k3 v7 . . . k4 v4 .

Only the values of these queries are to be predicted, and nothing but the pair far back tells them.
Source: Arora et al. 2023, "Zoology" (arXiv 2312.04927). There queries are likelier close to the
pairs, by a power law, as in natural text. Here all places are alike likely, as what is asked is how
far a model reaches: distances from 2 * pairs to context - 2 * pairs are about equally frequent,
and only those at both ends are rarer.

What is trained on is a mixture of numbers of pairs, after Arora et al. 2024 (arXiv 2402.18668),
here in equal shares and all in the same context: all the pairs, half of them, a quarter, and so on
down to two or three. So how many pairs it can hold is measured in one model; and what to do is
found sooner with few, as attention to the right pair is then worth more from the start.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from minitx.data.tokenizers import word_tokenizer
from minitx.data.windows import IGNORE, share_of_batch, stream
from minitx.errors import UserError

# Zoology has 4,096 of each. A value that was only guessed is hardly ever right with fewer, too, and
# then a small model is not mostly embeddings, nor its training mostly waiting for rare tokens.
KEYS = VALUES = 128
FILLER, FIRST_KEY, FIRST_VALUE = 0, 1, 1 + KEYS  # ids

HELD_OUT = 1000  # sequences of val, and of test
# The streams they are drawn from; those of training have a seed, which is below 2**32.
STREAMS = {"val": 2**32, "test": 2**32 + 1}


class Recall:
    """The sequences with up to this number of pairs that fill a context, and their tokens.

    `numbers` are the numbers of pairs in the mixture, `pairs` itself first. `val` and `test` are
    the same for every seed. `fingerprint` identifies their contents.

    Raises UserError where the pairs and their queries do not fit the context, or there are not as
    many keys.
    """

    splits = tuple(STREAMS)

    def __init__(self, pairs: int, context: int) -> None:
        if pairs > KEYS:
            raise UserError(f"task.pairs={pairs}: there are {KEYS} different keys")
        if context < 4 * pairs:
            fitting = f", or task.pairs={context // 4}" if context >= 4 else ""
            raise UserError(
                f"task.pairs={pairs} needs four tokens a pair, to name it and to ask for it: "
                f"model.context={context} is too short, set model.context={4 * pairs}{fitting}"
            )
        self.pairs, self.context = pairs, context
        self.numbers = [pairs >> halved for halved in range(max(1, pairs.bit_length() - 1))]
        keys = (f"k{n}" for n in range(KEYS))
        values = (f"v{n}" for n in range(VALUES))
        self.tokenizer = word_tokenizer([".", *keys, *values])
        self._held_out = {
            (split, number): self.sequences(stream(key, number), number, HELD_OUT)
            for split, key in STREAMS.items()
            for number in self.numbers
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, of the tokenizer and of all held-out sequences.

        A numpy that draws other numbers, or a change here, is another corpus.
        """
        found = hashlib.sha256(self.tokenizer.fingerprint.encode())
        for sequences in self._held_out.values():
            found.update(sequences.astype("<i8").tobytes())
        return found.hexdigest()

    def mixture(self, size: int) -> dict[int, int]:
        """How many of so many training sequences have which number of pairs."""
        kinds = len(self.numbers)
        return {number: len(range(i, size, kinds)) for i, number in enumerate(self.numbers)}

    def sequences(self, generator: np.random.Generator, pairs: int, size: int) -> np.ndarray:
        """So many sequences of `pairs`, int64 (size, context + 1): the last is a target only."""
        named = 2 * pairs
        tokens = np.full((size, self.context + 1), FILLER)
        keys = FIRST_KEY + _distinct(generator, size, KEYS, pairs)  # (size, pairs)
        # Distinct, so that to answer with another pair's value is always wrong.
        values = FIRST_VALUE + _distinct(generator, size, VALUES, pairs)
        tokens[:, 0:named:2], tokens[:, 1:named:2] = keys, values
        # A query is a key and its value, taken for one token; then each makes way for those before.
        places = _distinct(generator, size, self.context + 1 - named - pairs, pairs)
        places += named + places.argsort(axis=1).argsort(axis=1)
        np.put_along_axis(tokens, places, keys, axis=1)
        np.put_along_axis(tokens, places + 1, values, axis=1)
        return tokens

    def split(self, name: str, pairs: int | None = None) -> TensorDataset:
        """The inputs and targets of val or test, int64 (context,) each by the sequence's number.

        They have all the pairs, or another number of them that is in the mixture.
        """
        pairs = self.pairs if pairs is None else pairs
        return TensorDataset(*examples(self._held_out[name, pairs], pairs))


def examples(sequences: np.ndarray, pairs: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, int64 (size, context) each; IGNORE but for the values asked for."""
    inputs, targets = sequences[:, :-1].copy(), sequences[:, 1:].copy()
    targets[:, : 2 * pairs] = IGNORE  # the pairs themselves
    targets[targets < FIRST_VALUE] = IGNORE
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def distances(inputs: Tensor, targets: Tensor) -> Tensor:
    """How far back the key of every query stood, int64 (queries,), in reading order."""
    sequence, place = (targets != IGNORE).nonzero(as_tuple=True)
    same = inputs[sequence] == inputs[sequence, place, None]  # (queries, T)
    return place - same.int().argmax(dim=1)


class RecallBatches(Dataset[tuple[Tensor, Tensor]]):
    """Training batches without end, each of `batch_size` sequences over all ranks.

    Batch i depends on (seed, i) alone, and a rank has its slice of it, as in `RandomWindows`. All
    batches are mixed alike. Raises UserError where the batch does not divide among the ranks.
    """

    def __init__(
        self, recall: Recall, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.recall, self.batch_size, self.seed = recall, batch_size, seed
        self.mine = share_of_batch(batch_size, rank, world_size)

    def __getitem__(self, batch: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch, int64 (batch_size / world_size, context) each."""
        generator, recall = stream(self.seed, batch), self.recall
        parts = [
            examples(recall.sequences(generator, pairs, size), pairs)
            for pairs, size in recall.mixture(self.batch_size).items()
        ]
        inputs, targets = (torch.cat(part)[self.mine] for part in zip(*parts, strict=True))
        return inputs, targets


def _distinct(generator: np.random.Generator, rows: int, n: int, k: int) -> np.ndarray:
    """Rows of k different numbers below n, all choices and orders alike likely: int64 (rows, k)."""
    return generator.random((rows, n)).argsort(axis=1)[:, :k]
