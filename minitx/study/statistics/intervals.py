"""95% confidence intervals over seeds, for a fixed test set.

`minitx.metrics.bootstrap` has the intervals over test items, for fixed runs.
"""

from collections.abc import Sequence
from math import inf, isinf, log, nan, sqrt

import numpy as np
from scipy import stats
from scipy.special import expit, stdtr, stdtrit  # Student's t and its quantiles

from minitx.metrics.bootstrap import LEVEL, Interval

Values = Sequence[float] | np.ndarray
Bounds = tuple[float, float]

UNBOUNDED = (-inf, inf)
LEAST_SEEDS = 4  # fewer tell too little about others for an interval
EQUAL = 1e-9  # relative; values that are nearer differ by rounding


def mean_interval(values: Values, bounds: Bounds = UNBOUNDED) -> Interval:
    """Return the mean of values (n,) with Student's t interval, which stays within the bounds.

    If one of the bounds is finite, the interval is that of the mean's logarithm, and if both are,
    that of its logit (the standard error by the delta method), mapped back. It always contains the
    mean. `p` is that of the same test on the same scale. If the lower bound is infinite, so is the
    upper one.

    The interval is unknown if n < `LEAST_SEEDS`, and if all values are equal: such seeds do not
    tell how far apart others would be. The mean is NaN if n = 0.
    """
    n, (low, high) = len(values), bounds
    mean = float(np.mean(values)) if n else nan
    if n < LEAST_SEEDS or not low < mean < high:
        return Interval(mean)
    error = float(np.std(values, ddof=1)) / sqrt(n)
    if error <= EQUAL * abs(mean):
        return Interval(mean)
    place, error = _place(mean, bounds), error * _slope(mean, bounds)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    ends = (_value(place - half, bounds), _value(place + half, bounds))
    p = nan
    if low < 0 < high:
        p = float(2 * stdtr(n - 1, -abs(place - _place(0, bounds)) / error))
    return Interval(mean, *ends, p)


def difference_interval(first: Values, second: Values, bounds: Bounds = UNBOUNDED) -> Interval:
    """Return the mean of first - second with the t interval of paired values.

    Both are (n,), within `bounds`, and have the same seeds in the same order. The same seed gives
    the same batches, so that part of what differs between seeds cancels. The difference of two
    values within (low, high) is within (low - high, high - low), and so is its interval. It is
    unknown as that of `mean_interval`. Values that differ by rounding count as equal.
    """
    one, other = np.asarray(first, float), np.asarray(second, float)
    rounding = EQUAL * np.maximum(abs(one), abs(other))
    differences = np.where(abs(one - other) <= rounding, 0, one - other)
    reach = bounds[1] - bounds[0]
    return mean_interval(differences, (-reach, reach))


def drawn_differences(
    first: Values, second: Values, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Return means of first - second, float64 (draws,), from the t distribution of their interval.

    Both are (n,) with n > 1, and paired as in `difference_interval`, but without bounds. A function
    of several means has an interval, too: the percentiles of its values for drawn means.
    """
    differences = np.subtract(first, second)
    drawn = generator.standard_t(len(differences) - 1, draws)
    return differences.mean() + stats.sem(differences) * drawn


def fraction_interval(hits: int, tries: int) -> Interval:
    """Return hits / tries with the exact interval, which stays within 0 and 1.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the
    case of the binomial".
    """
    if not tries:
        return Interval(nan)
    interval = stats.binomtest(hits, tries).proportion_ci(LEVEL, method="exact")
    return Interval(hits / tries, float(interval.low), float(interval.high))


def interval_words(bounds: Bounds) -> str:
    """Return how `mean_interval` makes an interval: "Student's t on the logit scale"."""
    if isinf(bounds[0]):
        return "Student's t"
    return f"Student's t on the {'log' if isinf(bounds[1]) else 'logit'} scale"


def _place(value: float, bounds: Bounds) -> float:
    """Map a value within the bounds to the real line."""
    low, high = bounds
    if isinf(low):
        return value
    return log(value - low) - (0 if isinf(high) else log(high - value))


def _slope(value: float, bounds: Bounds) -> float:
    """Return the derivative of `_place`."""
    low, high = bounds
    if isinf(low):
        return 1.0
    return 1 / (value - low) + 1 / (high - value)  # the latter is 0 if high is infinite


def _value(place: float, bounds: Bounds) -> float:
    """Map a place on the real line back to a value, the inverse of `_place`."""
    low, high = bounds
    if isinf(low):
        return place
    if isinf(high):
        return low + float(np.exp(place))
    return low + (high - low) * float(expit(place))
