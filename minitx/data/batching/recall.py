"""Multi-query associative recall: sequences that name pairs and then ask for them.

A sequence begins with `pairs` keys, each followed by its value. Behind them, among filler, every
key stands once more at a random place, and there its value is to be predicted:

    k3 v7  k9 v1  k4 v4  . . k9 . k3 . . . k4 .

Nothing but the pair far back tells it, as values that were asked for are not written down. Who
does not look at keys can name any of the sequence's values, and is right once in `pairs` times.
Source: Arora et al. 2023, "Zoology" (arXiv 2312.04927). There queries are likelier close to the
pairs, by a power law, as in natural text. Here all places are alike likely, as what is asked is how
far a model reaches: distances from 2 * pairs to context - 2 * pairs are about equally frequent,
and only those at both ends are rarer.

What is trained on is a mixture of numbers of pairs, after Arora et al. 2024 (arXiv 2402.18668),
here in equal shares: all the pairs, half of them, a quarter, and so on down to two or three. So how
many pairs it can hold is measured in one model. Up to half of a batch's sequences with fewer pairs
are as much shorter, with nothing but filler behind them, as there too longer sequences hold more
pairs: what to do is found sooner where there is little else to attend to.
"""

import hashlib
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from minitx.data.batching.windows import IGNORE, share_of_batch
from minitx.data.random_streams import stream
from minitx.data.tokenizers.text import word_tokenizer
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
        if context < 3 * pairs:
            fitting = f", or task.pairs={context // 3}" if context >= 3 else ""
            raise UserError(
                f"task.pairs={pairs} needs three tokens a pair, to name it and to ask for it: "
                f"model.context={context} is too short, set model.context={3 * pairs}{fitting}"
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
        """SHA-256, hex, of the tokenizer, all held-out sequences, and some to train on.

        A numpy that draws other numbers, or a change here, is another corpus.
        """
        found = hashlib.sha256(self.tokenizer.fingerprint.encode())
        trained_on = self.training(stream(0, 0), 4 * len(self.numbers))
        for part in chain(*self._held_out.values(), trained_on):
            found.update(part.numpy().astype("<i8").tobytes())
        return found.hexdigest()

    def mixture(self, size: int) -> dict[tuple[int, int], int]:
        """How many of so many training sequences have which number of pairs, in which length."""
        kinds = len(self.numbers)
        found = {}
        for i, pairs in enumerate(self.numbers):
            rows = len(range(i, size, kinds))
            short = rows // 2 if i else 0
            found[pairs, self.context] = rows - short
            if short:
                found[pairs, self.context >> i] = short
        return found

    def training(self, generator: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of so many training sequences, int64 (size, context) each."""
        parts = [
            self.sequences(generator, pairs, rows, length)
            for (pairs, length), rows in self.mixture(size).items()
        ]
        inputs, targets = map(torch.cat, zip(*parts, strict=True))
        return inputs, targets

    def sequences(
        self, generator: np.random.Generator, pairs: int, size: int, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Inputs and targets of so many sequences of `pairs`, int64 (size, context) each.

        Targets are IGNORE but for the values asked for. Behind `length`, if it is given, there is
        nothing but filler.
        """
        named, length = 2 * pairs, length or self.context
        inputs = np.full((size, self.context), FILLER)
        targets = np.full_like(inputs, IGNORE)
        keys = FIRST_KEY + _distinct(generator, size, KEYS, pairs)  # (size, pairs)
        # Distinct, so that to answer with another pair's value is always wrong.
        values = FIRST_VALUE + _distinct(generator, size, VALUES, pairs)
        inputs[:, 0:named:2], inputs[:, 1:named:2] = keys, values
        places = named + _distinct(generator, size, length - named, pairs)
        np.put_along_axis(inputs, places, keys, axis=1)
        np.put_along_axis(targets, places, values, axis=1)
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def split(self, name: str, pairs: int | None = None) -> TensorDataset:
        """The inputs and targets of val or test, int64 (context,) each by the sequence's number.

        They have all the pairs, or another number of them that is in the mixture.
        """
        return TensorDataset(*self._held_out[name, self.pairs if pairs is None else pairs])


def distances(inputs: Tensor, targets: Tensor) -> Tensor:
    """How far back the key of every query stood, int64 (queries,), in reading order."""
    sequence, place = (targets != IGNORE).nonzero(as_tuple=True)
    same = inputs[sequence] == inputs[sequence, place, None]  # (queries, T)
    return place - same.int().argmax(dim=1)


class RecallBatch(NamedTuple):
    """Sequences to train on, and where in them values are asked for.

    inputs, targets  int64 (B, context)
    asked            int64 (queries,)  the places of the targets that are not IGNORE in the
                     flattened batch: on a device, the host would wait for their number
    """

    inputs: Tensor
    targets: Tensor
    asked: Tensor


class RecallBatches(Dataset[RecallBatch]):
    """Training batches without end, each of `batch_size` sequences over all ranks.

    Batch i depends on (seed, i) alone, and a rank has its slice of it, as in `RandomWindows`. All
    batches are mixed alike. Raises UserError where the batch does not divide among the ranks.
    """

    def __init__(
        self, recall: Recall, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.recall, self.batch_size, self.seed = recall, batch_size, seed
        self.mine = share_of_batch(batch_size, rank, world_size)

    def __getitem__(self, batch: int) -> RecallBatch:
        """This rank's sequences of a batch, batch_size / world_size of them."""
        inputs, targets = self.recall.training(stream(self.seed, batch), self.batch_size)
        mine = targets[self.mine]
        return RecallBatch(inputs[self.mine], mine, (mine.flatten() != IGNORE).nonzero()[:, 0])


def _distinct(generator: np.random.Generator, rows: int, n: int, k: int) -> np.ndarray:
    """Rows of k different numbers below n, all choices and orders alike likely: int64 (rows, k)."""
    return generator.random((rows, n)).argsort(axis=1)[:, :k]
