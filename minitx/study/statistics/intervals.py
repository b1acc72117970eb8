"""What figures say beyond the runs and the test set they come from: intervals of 95%.

Seeds and test items are two different reasons why a figure might have come out otherwise. Student's
and Welch's intervals are over seeds, for the test set as it is; the bootstrap is over the items of
the test set, for the runs as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.stats import binomtest, t

LEVEL = 0.95
RESAMPLES, FEW_RESAMPLES = 10_000, 1_000  # few where a score has to be computed row by row
DRAWS = 4_000_000  # items drawn at a time, which take some 32 MB

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A figure and the ends of its 95% interval, which are NaN where there is no saying."""

    value: float
    low: float = nan
    high: float = nan

    @property
    def known(self) -> bool:
        return not np.isnan(self.low + self.high)

    @property
    def leaves_out_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __neg__(self) -> "Interval":
        return Interval(-self.value, -self.high, -self.low)


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of values (n,) with Student's t interval; without ends where there is but one.

    Nothing at all has a mean of NaN.
    """
    n = len(values)
    if n < 2:
        return Interval(float(values[0]) if n else nan)
    mean = float(np.mean(values))
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / sqrt(n))
    return Interval(mean, mean - half, mean + half)


def difference_interval(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray
) -> Interval:
    """mean(first) - mean(second), with the interval of Welch's t, whose variances may differ.

    `first` is (n,), `second` (m,). Without ends where one of them has fewer than two values, and
    where none of them varies: the seeds then do not tell how far others would lie apart.

    Source: Welch 1947, "The generalization of 'Student's' problem when several different population
    variances are involved".
    """
    if not len(first) or not len(second):
        return Interval(nan)
    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:
        return Interval(difference)
    variances = [float(np.var(each, ddof=1)) / len(each) for each in (first, second)]
    variance = sum(variances)
    if not np.ptp(first) and not np.ptp(second):
        return Interval(difference)
    freedom = variance**2 / sum(
        each**2 / (len(values) - 1) for each, values in zip(variances, (first, second), strict=True)
    )
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * sqrt(variance)
    return Interval(difference, difference - half, difference + half)


def share_interval(hits: int, tries: int) -> Interval:
    """hits / tries with Wilson's interval (Wilson 1927), which stays within 0 and 1."""
    if not tries:
        return Interval(nan)
    interval = binomtest(hits, tries).proportion_ci(LEVEL, method="wilson")
    return Interval(hits / tries, float(interval.low), float(interval.high))


def resampled_scores(items: np.ndarray, score: Score, resamples: int) -> np.ndarray:
    """Scores of test sets drawn from this one: items (models, n, k) -> (models, resamples) float64.

    Each draw takes n items with replacement, the same ones for every model, so that the difference
    of two rows is that of a paired bootstrap. The draws are the same at every call.

    `score` takes sums (..., k) and gives (...). Raises ValueError without items.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; in pairs Koehn 2004,
    "Statistical significance tests for machine translation evaluation", section 5.
    """
    models, n, k = items.shape
    if not n:
        raise ValueError("no items to draw from")
    generator = np.random.default_rng(0)
    side_by_side = items.transpose(1, 0, 2).reshape(n, models * k)
    scores = np.empty((models, resamples))
    rows = max(1, DRAWS // n)
    for start in range(0, resamples, rows):
        drawn = min(rows, resamples - start)
        places = generator.integers(n, size=(drawn, n)) + n * np.arange(drawn)[:, None]
        # How often each draw holds each item.
        counts = np.bincount(places.ravel(), minlength=drawn * n).reshape(drawn, n)
        sums = (counts.astype(float) @ side_by_side).reshape(drawn, models, k)
        scores[:, start : start + drawn] = score(sums.transpose(1, 0, 2))
    return scores


def percentile_interval(value: float, resampled: np.ndarray) -> Interval:
    """A figure with the percentile interval of its resamples (n,); NaN among them are left out."""
    known = resampled[np.isfinite(resampled)]
    if not known.size:
        return Interval(value)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
