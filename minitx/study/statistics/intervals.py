"""95% confidence intervals over seeds, for a fixed test set.

`minitx.metrics.bootstrap` has the intervals over test items, for fixed runs.
"""

from collections.abc import Sequence
from math import nan

import numpy as np
from scipy import stats

from minitx.metrics.bootstrap import LEVEL, Interval

Values = Sequence[float] | np.ndarray


def mean_interval(values: Values) -> Interval:
    """Return the mean of values (n,) with Student's t interval.

    The interval is unknown if n < 2, and the mean is NaN if n = 0.
    """
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else nan)
    mean, error = float(np.mean(values)), stats.sem(values)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * error)
    return Interval(mean, mean - half, mean + half)


def difference_interval(first: Values, second: Values) -> Interval:
    """Return mean(first) - mean(second) with Welch's t interval, for unequal variances.

    `first` is (n,), `second` (m,). The interval is unknown if n < 2 or m < 2, or if neither varies:
    such seeds do not tell how far apart others would be.

    Source: Welch 1947, "The generalization of 'Student's' problem when several different population
    variances are involved".
    """
    if not len(first) or not len(second):
        return Interval(nan)
    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2 or not (np.ptp(first) or np.ptp(second)):
        return Interval(difference)
    found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    return Interval(difference, float(found.low), float(found.high))


def fraction_interval(hits: int, tries: int) -> Interval:
    """Return hits / tries with Wilson's interval (Wilson 1927), which stays within 0 and 1."""
    if not tries:
        return Interval(nan)
    interval = stats.binomtest(hits, tries).proportion_ci(LEVEL, method="wilson")
    return Interval(hits / tries, float(interval.low), float(interval.high))
