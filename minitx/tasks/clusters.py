"""The clusters that the items of a split belong to, whose items resemble each other.

Intervals over a test split resample whole clusters (`minitx.metrics.bootstrap`).
"""

from collections.abc import Sequence

import numpy as np


def clusters_of(names: Sequence[str]) -> np.ndarray:
    """Return the number of each item's cluster, int64 (n,). Items of a cluster have one name."""
    return np.unique(names, return_inverse=True)[1]


def clusters_of_windows(lengths: np.ndarray, context: int, parts: Sequence[int]) -> np.ndarray:
    """Return the number of the cluster of each window of a text, int64 (windows,).

    `lengths` int64 (tokens,) are the bytes of the text's tokens. Window j has the targets from
    j * context + 1 on. It belongs to the part of the text that has its middle. `parts` are the
    bytes at which parts begin, ascending. If there are none, a cluster consists of successive
    windows, of n windows about the cube root of n: neighbours resemble each other the most.

    Source of the length: Hall, Horowitz and Jing 1995, "On blocking rules for the bootstrap with
    dependent data".
    """
    targets = len(lengths) - 1
    windows = -(-targets // context)
    if not parts:
        return np.arange(windows) // max(1, round(windows ** (1 / 3)))
    starts = context * np.arange(windows)
    middles = (starts + np.minimum(starts + context, targets)) // 2
    before = np.cumsum(lengths) - lengths  # bytes
    return np.searchsorted(parts, before[middles], side="right")
