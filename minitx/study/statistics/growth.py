"""How a cost grows with the length, and how many times one cost is another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from minitx.metrics.bootstrap import LEVEL, Interval
from minitx.study.statistics.intervals import LEAST_SEEDS


@dataclass(frozen=True)
class Growth:
    """A cost per token of a + b T at length T, with 95% intervals of a and b."""

    a: Interval
    b: Interval

    def at(self, length: float) -> float:
        return self.a.value + self.b.value * length


def linear_growth(lengths: Sequence[float], costs: Sequence[float]) -> Growth:
    """Fit costs = a + b lengths by least squares of the relative errors, with t intervals.

    Both are (n,) and positive, with at least two different lengths. The intervals are unknown if
    n = 2.

    A product of matrices costs the same per token at every length, so attention, in which a token
    meets T keys, has a constant and a linear part. A recurrence has a constant part only.
    """
    design = np.stack([np.ones(len(lengths)), np.asarray(lengths, float)], axis=1)
    weights = 1 / np.asarray(costs, float)  # relative errors: of cost / cost = 1
    scaled = design * weights[:, None]
    found, *_ = np.linalg.lstsq(scaled, np.ones(len(lengths)))
    freedom = len(lengths) - 2
    if not freedom:
        return Growth(*(Interval(float(value)) for value in found))
    variance = ((scaled @ found - 1) ** 2).sum() / freedom
    errors = np.sqrt(variance * np.diag(np.linalg.inv(scaled.T @ scaled)))
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * errors
    ends = zip(found, found - half, found + half, strict=True)
    return Growth(*(Interval(*map(float, each)) for each in ends))


def ratio_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the ratio of the geometric means of two positive costs, with a 95% interval.

    `first` is (n,) and `second` is (m,). The interval is Welch's t interval of the difference of
    the logarithms. It is unknown if n < 4 or m < 4.
    """
    logs = np.log(first), np.log(second)
    value = float(np.exp(logs[0].mean() - logs[1].mean()))
    if min(map(len, logs)) < LEAST_SEEDS:
        return Interval(value)
    found = stats.ttest_ind(*logs, equal_var=False).confidence_interval(LEVEL)
    return Interval(value, float(np.exp(found.low)), float(np.exp(found.high)))
