"""Multi-query associative recall: sequences that list pairs and then query them.

A sequence begins with `pairs` keys, each followed by its value. Each key occurs once more at a
random place in the filler after them. There the model predicts its value:

    k3 v7  k9 v1  k4 v4  . . k9 . k3 . . . k4 .

Only the pair tells the value, because the answers are not part of the input. A model that guesses a
value from the sequence reaches an accuracy of 1 / pairs. Source: Arora et al. 2023, "Zoology"
(arXiv 2312.04927). There, a power law places most queries close to the pairs, as in natural text.
Here, all places are equally likely, because the question is how far back a model can look.
Distances from 2 * pairs to context - 2 * pairs are about equally frequent. Distances at both ends
are rarer.

Training uses a mixture of numbers of pairs, after Arora et al. 2024 (arXiv 2402.18668). Here the
parts are equal: all the pairs, half of them, a quarter, and so on down to two or three. So one
model shows how many pairs it can recall. In addition, up to half of the sequences with fewer pairs
are shorter by the same factor and padded with filler. As in that paper, longer sequences have more
pairs. A model learns the task faster if there is little else to attend to.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from minitx.data.batching.generated import STREAMS, Generated, distinct
from minitx.data.batching.windows import IGNORE
from minitx.data.random_streams import stream
from minitx.data.tokenizers.text import word_tokenizer
from minitx.errors import UserError

# Zoology has 4,096 of each. With 128, guessed values are rarely correct either, a small model does
# not consist mainly of embeddings, and no token is so rare that training waits for it.
KEYS = VALUES = 128
FILLER, FIRST_KEY, FIRST_VALUE = 0, 1, 1 + KEYS  # ids

HELD_OUT = 1000  # sequences of val, and of test


class Recall(Generated):
    """The sequences of `context` tokens with up to `pairs` pairs, and their tokenizer.

    `numbers` are the numbers of pairs in the mixture, the largest first. Val and test are the same
    for every seed. `fingerprint` identifies them.

    Raises UserError if the pairs and their queries do not fit in the context, or if there are not
    enough keys.
    """

    def __init__(self, pairs: int, context: int) -> None:
        if pairs > KEYS:
            raise UserError(f"task.pairs={pairs}: there are {KEYS} different keys")
        if context < 3 * pairs:
            fitting = f", or task.pairs={context // 3}" if context >= 3 else ""
            raise UserError(
                f"task.pairs={pairs} needs three tokens for each pair, key, value and query: "
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

    def identifying(self) -> Iterator[Tensor]:
        trained_on = self.training(stream(0, 0), 4 * len(self.numbers))
        return chain(*self._held_out.values(), trained_on)

    def mixture(self, size: int) -> dict[tuple[int, int], int]:
        """Return how many of `size` training sequences have each (number of pairs, length)."""
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
        """Return inputs and targets of training sequences, int64 (size, context) each."""
        parts = [
            self.sequences(generator, pairs, rows, length)
            for (pairs, length), rows in self.mixture(size).items()
        ]
        inputs, targets = map(torch.cat, zip(*parts, strict=True))
        return inputs, targets

    def sequences(
        self, generator: np.random.Generator, pairs: int, size: int, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of sequences with `pairs` pairs, int64 (size, context) each.

        Targets are IGNORE except for the values of queries. If `length` is given, there is only
        filler after it.
        """
        named, length = 2 * pairs, length or self.context
        inputs = np.full((size, self.context), FILLER)
        targets = np.full_like(inputs, IGNORE)
        keys = FIRST_KEY + distinct(generator, size, KEYS, pairs)  # (size, pairs)
        # Distinct, so that the value of another pair is always wrong.
        values = FIRST_VALUE + distinct(generator, size, VALUES, pairs)
        inputs[:, 0:named:2], inputs[:, 1:named:2] = keys, values
        places = named + distinct(generator, size, length - named, pairs)
        np.put_along_axis(inputs, places, keys, axis=1)
        np.put_along_axis(targets, places, values, axis=1)
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def split(self, name: str, pairs: int | None = None) -> TensorDataset:
        """Return val or test: inputs and targets of each sequence, int64 (context,) each.

        Sequences have the largest number of pairs, or another one of the mixture.
        """
        return TensorDataset(*self._held_out[name, self.pairs if pairs is None else pairs])


def distances(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the distance from each query back to its key, int64 (queries,), in reading order."""
    sequence, place = (targets != IGNORE).nonzero(as_tuple=True)
    same = inputs[sequence] == inputs[sequence, place, None]  # (queries, T)
    return place - same.int().argmax(dim=1)
