"""Rows of different lengths in one array."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


class Ragged:
    """Rows of ids. Row i is `ids[offsets[i] : offsets[i + 1]]`.

    `ids` is (N,) and `offsets` is int64 (rows + 1,).
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        if offsets[-1] != len(ids):
            raise ValueError(f"offsets end at {offsets[-1]}, {len(ids)} ids are there")
        self.ids, self.offsets = ids, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """Return the ids of a row, (length,). Raises IndexError past the end."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """The length of each row, int64 (rows,)."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> "Ragged":
        """Return some of the rows, in the order of `rows`, int (n,)."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        # The distance of each row from its index among the taken ids to its index among all ids.
        shift = np.repeat(self.offsets[rows] - offsets[:-1], self.lengths[rows])
        return Ragged(self.ids[np.arange(offsets[-1]) + shift], offsets)

    def with_first(self, token: int) -> "Ragged":
        """Return the rows with an id before each."""
        return Ragged(np.insert(self.ids, self.offsets[:-1], token), self._longer)

    def with_last(self, token: int) -> "Ragged":
        """Return the rows with an id after each."""
        return Ragged(np.insert(self.ids, self.offsets[1:], token), self._longer)

    @property
    def _longer(self) -> np.ndarray:
        return self.offsets + np.arange(len(self.offsets))

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], dtype: DTypeLike = np.int64) -> "Ragged":
        """Return these rows as ids of `dtype`."""
        lengths = [0, *map(len, rows)]
        return cls(np.fromiter(chain.from_iterable(rows), dtype), np.cumsum(lengths))

    @classmethod
    def joined(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """Return the rows of all parts in order. `parts` is not empty."""
        lengths = np.concatenate([[0], *(part.lengths for part in parts)])
        return cls(np.concatenate([part.ids for part in parts]), np.cumsum(lengths))

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.ids.npy and `name`.offsets.npy."""
        np.save(folder / f"{name}.ids.npy", self.ids)
        np.save(folder / f"{name}.offsets.npy", self.offsets)

    @classmethod
    def load(cls, folder: Path, name: str) -> "Ragged":
        """Map the files that `save` wrote. Raises OSError or ValueError if they are damaged."""
        ids = np.load(folder / f"{name}.ids.npy", mmap_mode="r")
        # A map is refused, rather than allocated, if the file is shorter than its header says.
        offsets = np.load(folder / f"{name}.offsets.npy", mmap_mode="r")
        return cls(ids, np.array(offsets))
