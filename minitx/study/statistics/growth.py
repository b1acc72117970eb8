"""How a cost grows with the length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from minitx.metrics.bootstrap import LEVEL, Interval
from minitx.study.statistics.ratios import geometric_mean

LEAST_LENGTHS = 3  # of a line; any two are on one
MOST_OFF = 0.2  # of a cost; a line that misses one by more does not describe how costs grow


@dataclass(frozen=True)
class Growth:
    """A cost per token of a + b T at length T, with 95% intervals of a and b.

    `off` is the largest relative error of the line at any length, and `at_length` the length that
    has it.
    """

    a: Interval
    b: Interval
    off: float
    at_length: float

    @property
    def fits(self) -> bool:
        """Whether a + b T describes the costs: it is near all of them, and b may be positive."""
        return self.off <= MOST_OFF and not self.b.high < 0


def linear_growth(lengths: Sequence[float], costs: Sequence[float]) -> Growth:
    """Fit costs = a + b lengths by least squares of the relative errors, with t intervals.

    Both are (n,) and positive. Raises ValueError for fewer than three different lengths, which
    cannot show whether a line describes the costs.

    The costs at a length count as one, their geometric mean: what a line misses there, all of its
    processes share. So the intervals have two degrees of freedom fewer than there are lengths.

    A product of matrices costs the same per token at every length, so attention, in which a token
    meets T keys, has a constant and a linear part. A recurrence has a constant part only. A step
    that takes the same time at every length has neither: `Growth.fits` is false.
    """
    different = np.unique(lengths)
    freedom = len(different) - 2
    if len(different) < LEAST_LENGTHS:
        raise ValueError(f"a line needs three lengths, and there are {len(different)}")
    at = [np.asarray(lengths) == each for each in different]
    means = np.array([geometric_mean(np.asarray(costs, float)[each]) for each in at])
    # Relative errors: those of cost / mean from 1.
    scaled = np.stack([np.ones_like(means), different], axis=1) / means[:, None]
    found, *_ = np.linalg.lstsq(scaled, np.ones_like(means))
    errors = scaled @ found - 1
    variance = (errors**2).sum() / freedom
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(
        variance * np.diag(np.linalg.inv(scaled.T @ scaled))
    )
    a, b = (
        Interval(*map(float, ends)) for ends in zip(found, found - half, found + half, strict=True)
    )
    worst = int(np.argmax(abs(errors)))
    return Growth(a, b, float(abs(errors[worst])), float(different[worst]))
