"""How many times one cost is another, with intervals over processes or seeds."""

import numpy as np
from scipy import stats

from minitx.metrics.bootstrap import LEVEL, Interval
from minitx.study.statistics.intervals import LEAST_SEEDS, difference_interval


def geometric_mean(costs: np.ndarray) -> float:
    """Return the geometric mean of positive costs (n,)."""
    return float(np.exp(np.log(costs).mean()))


def ratio_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the ratio of the geometric means of two positive costs, with a 95% interval.

    `first` is (n,) and `second` is (m,). The interval is Welch's t interval of the difference of
    the logarithms. It is unknown if n < 4 or m < 4, and if neither cost varies.
    """
    logs = np.log(first), np.log(second)
    value = geometric_mean(first) / geometric_mean(second)
    if min(map(len, logs)) < LEAST_SEEDS or not any(map(np.ptp, logs)):
        return Interval(value)
    found = stats.ttest_ind(*logs, equal_var=False).confidence_interval(LEVEL)
    return Interval(value, float(np.exp(found.low)), float(np.exp(found.high)))


def paired_ratio_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return what `ratio_interval` does for costs (n,) of the same seeds in the same order.

    The interval is the paired t interval of the difference of the logarithms: what the costs of a
    seed share cancels. It is unknown as that of `difference_interval`.
    """
    found = difference_interval(np.log(first), np.log(second))
    return Interval(*(float(np.exp(end)) for end in (found.value, found.low, found.high)))
