"""Correct p-values for the number of tests."""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.05  # the highest probability of one false claim or more in a report


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return Holm's corrected p-values (n,): each is compared with the level of a single test.

    The probability of one false rejection or more is at most that level, however the tests depend
    on each other. Tests that were not made have NaN, and do not count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    found = np.asarray(p_values, float)
    order = np.argsort(found)  # NaN last
    left = np.isfinite(found).sum() - np.arange(len(found))  # tests that are not yet rejected
    corrected = np.empty(len(found))
    corrected[order] = np.maximum.accumulate(np.minimum(1, found[order] * left))
    return corrected
