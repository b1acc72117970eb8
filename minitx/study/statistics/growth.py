"""How a cost grows with the length: exponents of power laws, and where two costs cross.

A cost a * length^b is a straight line of slope b on logarithmic axes. Measured costs are sums of
such terms, so the slope changes with the length. The slope over all lengths is a summary; the slope
over the last two lengths shows the trend.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import linregress, t

from minitx.metrics.bootstrap import LEVEL, Interval


def exponent(lengths: Sequence[float], costs: Sequence[float]) -> Interval:
    """Return the slope b of log cost = log a + b log length by least squares, with its t interval.

    Both are (n,) and positive, with n >= 2 different lengths. The interval is unknown if n = 2. It
    tells how well a power law fits the costs, not how precisely each cost was measured.
    """
    fit = linregress(np.log(lengths), np.log(costs))
    slope, freedom = float(fit.slope), len(lengths) - 2
    if freedom < 1:
        return Interval(slope)
    error = np.nan_to_num(fit.stderr)  # NaN if all costs are equal; it should be 0
    half = float(t.ppf((1 + LEVEL) / 2, freedom) * error)
    return Interval(slope, slope - half, slope + half)


def last_exponent(lengths: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope between the last two lengths. Lengths ascend."""
    return exponent(lengths[-2:], costs[-2:]).value


def crossings(
    lengths: Sequence[float], first: Sequence[float], second: Sequence[float], factor: float
) -> list[tuple[float, float]]:
    """Return the pairs of lengths between which the lower cost becomes the higher one.

    All are (n,) and positive; lengths ascend. Costs within the factor of each other count as equal,
    so the pairs are neighbours among the lengths at which the costs differ by more.
    """
    gaps = np.log(first) - np.log(second)
    different = [
        (length, gap > 0)
        for length, gap in zip(lengths, gaps, strict=True)
        if abs(gap) >= np.log(factor)
    ]
    return [(start, end) for (start, was), (end, now) in pairwise(different) if was != now]
