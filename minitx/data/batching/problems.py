"""Problems with sequences of any length: how a sequence is drawn, and which answers are scored.

In the first three, the answers are along the sequence: the state after the tokens so far. A model
that has to answer only at the end learns much more slowly, because one answer says little about a
long sequence. In the others, the answers follow the sequence.

    parity             1 0 1 1         -> odd odd even odd
    permutation        21345 23451     -> 21345 13452
    dyck               ( [ ] )         -> after "]": ")"; after ")": none
    copy               a b c >         -> a b c
    reverse            a b c >         -> c b a
    selective_copy     . a . . b ? ?   -> a b

Sources: Merrill et al. 2024, "The Illusion of State in State-Space Models" (arXiv 2404.08819), for
parity and permutations; Hewitt et al. 2020 (arXiv 2010.07515) and Suzgun et al. 2019 (arXiv
1911.03329) for Dyck words of bounded and of unbounded depth; Jelassi et al. 2024, "Repeat After Me"
(arXiv 2402.01032), for copying; Gu and Dao 2023, "Mamba" (arXiv 2312.00752), for selective copying.
"""

import string
from abc import ABC, abstractmethod
from itertools import permutations
from math import inf

import numpy as np

from minitx.data.batching.generated import distinct
from minitx.data.batching.windows import IGNORE

Drawn = tuple[np.ndarray, np.ndarray]  # inputs and targets, int64 (size, width) each


class Problem(ABC):
    """A kind of sequence. `words` are the tokens of inputs and answers, in the order of ids."""

    words: tuple[str, ...]

    def width(self, length: int) -> int:
        """Return the number of tokens in a sequence of this length."""
        return length

    @abstractmethod
    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        """Return `size` sequences of this length. Targets are IGNORE without an answer."""

    @abstractmethod
    def chance(self, length: int) -> float:
        """Return the accuracy of the best constant answer in sequences of this length."""


class Parity(Problem):
    """Whether the number of ones so far is even or odd."""

    words = ("0", "1", "even", "odd")

    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        bits = generator.integers(2, size=(size, length))
        return bits, 2 + bits.cumsum(axis=1) % 2

    def chance(self, length: int) -> float:
        return 1 / 2


class Permutation(Problem):
    """The order of five elements after the moves so far, the word problem of the group S5.

    Two moves generate all 120 orders. The word of a move is what it makes of 12345: 23451 puts the
    first element last, 21345 swaps the first two.
    """

    MOVES = ("23451", "21345")

    def __init__(self) -> None:
        orders = np.array(list(permutations(range(5))))  # (120, 5), 12345 first
        self.words = tuple("".join(map(str, order + 1)) for order in orders)
        self.moves = np.array([self.words.index(move) for move in self.MOVES])
        digits = 5 ** np.arange(5)
        number = np.zeros(5**5, np.int64)
        number[orders @ digits] = np.arange(120)
        self.after = number[orders[:, orders[self.moves]] @ digits]  # (120, 2), after each move

    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        moves = generator.integers(2, size=(size, length))
        states, state = np.empty_like(moves), np.zeros(size, np.int64)
        for t in range(length):
            states[:, t] = state = self.after[state, moves[:, t]]
        return self.moves[moves], states

    def chance(self, length: int) -> float:
        """Return the share of the most frequent order, which is near 1 / 120 after many moves."""
        now, met = np.eye(1, 120)[0], np.zeros(120)  # the probability of each order
        for _ in range(length):
            now = sum(np.bincount(after, now / 2, 120) for after in self.after.T)
            met += now
        return float(met.max() / length)


class Dyck(Problem):
    """Which bracket may close now, in beginnings of words of two kinds of matching brackets.

    The answers that are scored are those after a closing bracket: after an opening one, the present
    token tells the answer. A step opens a bracket if none is open, closes one at the greatest
    `depth`, if there is one, and does either with probability 1/2 otherwise. So without a greatest
    depth, the depth grows with the square root of the length.
    """

    words = ("(", ")", "[", "]", "none")
    CLOSING, NONE = np.array([1, 3]), 4  # ids; an opening bracket is one below its closing one

    def __init__(self, depth: float = inf) -> None:
        self.depth = depth

    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        steps, kinds = generator.random((size, length)), generator.integers(2, size=(size, length))
        rows, depth = np.arange(size), np.zeros(size, np.int64)
        stack = np.zeros((size, length + 1), np.int64)  # the closing bracket at each depth
        stack[:, 0] = self.NONE
        inputs, targets = np.empty((2, size, length), np.int64)
        for t in range(length):
            opens = steps[:, t] < self._opening(depth)
            closing = np.where(opens, self.CLOSING[kinds[:, t]], stack[rows, depth])
            inputs[:, t] = closing - opens
            depth += np.where(opens, 1, -1)
            stack[rows[opens], depth[opens]] = closing[opens]
            targets[:, t] = np.where(opens, IGNORE, stack[rows, depth])
        return inputs, targets

    def _opening(self, depth: np.ndarray) -> np.ndarray:
        """Return the probability that the next bracket opens, at each depth."""
        return np.where(depth == 0, 1.0, np.where(depth == self.depth, 0.0, 0.5))

    def chance(self, length: int) -> float:
        """Return the share of "none", or half of the rest, among the answers."""
        now = np.eye(1, length + 2)[0]  # the probability of each depth
        opening, closed = self._opening(np.arange(length + 2)), np.zeros(length + 2)
        for _ in range(length):
            down = np.roll(now * (1 - opening), -1)
            closed += down
            now = np.roll(now * opening, 1) + down
        none = closed[0] / max(closed.sum(), 1e-12)
        return float(max(none, (1 - none) / 2))


class Copy(Problem):
    """The letters before the mark ">" once more.

    The input goes on with the right letters, as in language modelling. If all answers are right,
    the model also writes the copy by itself, because each letter is then the next input.
    """

    words = (*string.ascii_lowercase, ">")
    order = slice(None)

    def width(self, length: int) -> int:
        return 2 * length

    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        letters = generator.integers(26, size=(size, length))
        answers = letters[:, self.order]
        mark, nothing = np.full((size, 1), 26), np.full_like(letters, IGNORE)
        return np.hstack([letters, mark, answers[:, :-1]]), np.hstack([nothing, answers])

    def chance(self, length: int) -> float:
        return 1 / 26


class Reverse(Copy):
    """The letters before the mark in reverse order."""

    order = slice(None, None, -1)


class SelectiveCopy(Problem):
    """The letters at random places among blanks, in their order, one for each question mark.

    A sequence has eight letters. One of fewer than eight places has a letter at each of them.
    """

    words = (*string.ascii_lowercase[:16], ".", "?")
    LETTERS, BLANK, ASK = 8, 16, 17

    def width(self, length: int) -> int:
        return length + min(self.LETTERS, length)

    def draw(self, generator: np.random.Generator, length: int, size: int) -> Drawn:
        count = min(self.LETTERS, length)
        letters = generator.integers(16, size=(size, count))
        places = np.sort(distinct(generator, size, length, count), axis=1)
        inputs = np.full((size, length + count), self.BLANK)
        targets = np.full_like(inputs, IGNORE)
        np.put_along_axis(inputs, places, letters, axis=1)
        inputs[:, length:], targets[:, length:] = self.ASK, letters
        return inputs, targets

    def chance(self, length: int) -> float:
        return 1 / 16
