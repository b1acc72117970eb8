"""How a cost grows with the length, and how many times one cost is another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from minitx.metrics.bootstrap import LEVEL, Interval
from minitx.study.statistics.intervals import LEAST_SEEDS

MOST_OFF = 0.2  # of a cost; a line that misses one by more does not describe how costs grow


@dataclass(frozen=True)
class Growth:
    """A cost per token of a + b T at length T, with 95% intervals of a and b.

    `off` is the largest relative error of the line, over the geometric means of the costs at each
    length, and `at_length` the length that has it.
    """

    a: Interval
    b: Interval
    off: float
    at_length: float

    def at(self, length: float) -> float:
        return self.a.value + self.b.value * length

    @property
    def fits(self) -> bool:
        """Whether a + b T describes the costs: no mean is far from it, and b may be positive."""
        return self.off <= MOST_OFF and not self.b.high < 0


def linear_growth(lengths: Sequence[float], costs: Sequence[float]) -> Growth:
    """Fit costs = a + b lengths by least squares of the relative errors, with t intervals.

    Both are (n,) and positive, with at least two different lengths. The intervals are unknown if
    n = 2.

    A product of matrices costs the same per token at every length, so attention, in which a token
    meets T keys, has a constant and a linear part. A recurrence has a constant part only. A step
    that takes the same time at every length has neither: `Growth.fits` is false.
    """
    design = np.stack([np.ones(len(lengths)), np.asarray(lengths, float)], axis=1)
    weights = 1 / np.asarray(costs, float)  # relative errors: of cost / cost = 1
    scaled = design * weights[:, None]
    found, *_ = np.linalg.lstsq(scaled, np.ones(len(lengths)))
    off = _largest_error(design, found, np.asarray(costs, float))
    freedom = len(lengths) - 2
    if not freedom:
        return Growth(Interval(float(found[0])), Interval(float(found[1])), *off)
    variance = ((scaled @ found - 1) ** 2).sum() / freedom
    errors = np.sqrt(variance * np.diag(np.linalg.inv(scaled.T @ scaled)))
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * errors
    a, b = (
        Interval(*map(float, ends)) for ends in zip(found, found - half, found + half, strict=True)
    )
    return Growth(a, b, *off)


def _largest_error(design: np.ndarray, parts: np.ndarray, costs: np.ndarray) -> tuple[float, float]:
    """Return the largest relative error of a line at any length, and that length."""
    lengths = design[:, 1]
    means = {each: np.exp(np.log(costs[lengths == each]).mean()) for each in np.unique(lengths)}
    errors = {each: abs((parts @ [1, each]) / mean - 1) for each, mean in means.items()}
    length = max(errors, key=lambda each: errors[each])
    return float(errors[length]), float(length)


def ratio_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the ratio of the geometric means of two positive costs, with a 95% interval.

    `first` is (n,) and `second` is (m,). The interval is Welch's t interval of the difference of
    the logarithms. It is unknown if n < 4 or m < 4, and if neither cost varies.
    """
    logs = np.log(first), np.log(second)
    value = float(np.exp(logs[0].mean() - logs[1].mean()))
    if min(map(len, logs)) < LEAST_SEEDS or not any(map(np.ptp, logs)):
        return Interval(value)
    found = stats.ttest_ind(*logs, equal_var=False).confidence_interval(LEVEL)
    return Interval(value, float(np.exp(found.low)), float(np.exp(found.high)))
