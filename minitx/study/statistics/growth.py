"""How a cost grows with the length: the exponents of power laws, and where two costs meet.

A cost that is a * length^b is a straight line with the slope b where both axes are logarithmic.
Real costs are sums of several such terms, so that the slope changes along the way: the one of all
lengths is a summary, the one at the end shows where it goes.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import linregress, t

from minitx.study.statistics.intervals import LEVEL, Interval


def exponent(lengths: Sequence[float], costs: Sequence[float]) -> Interval:
    """The slope b of log cost = log a + b log length by least squares, with Student's t interval.

    Both (n,), above zero, n >= 2 different lengths; without ends where n < 3. The interval tells
    how well a power law describes the costs, and not how well each of them is known.
    """
    fit = linregress(np.log(lengths), np.log(costs))
    slope, freedom = float(fit.slope), len(lengths) - 2
    if freedom < 1:
        return Interval(slope)
    error = np.nan_to_num(fit.stderr)  # of equal costs it is not a number, and should be 0
    half = float(t.ppf((1 + LEVEL) / 2, freedom) * error)
    return Interval(slope, slope - half, slope + half)


def last_exponent(lengths: Sequence[float], costs: Sequence[float]) -> float:
    """The slope between the last two of two lengths or more, in ascending order."""
    return exponent(lengths[-2:], costs[-2:]).value


def crossings(
    lengths: Sequence[float], first: Sequence[float], second: Sequence[float], factor: float
) -> list[tuple[float, float]]:
    """Between which lengths the lower cost becomes the higher one.

    All (n,), above zero, lengths in ascending order. Costs within the factor of each other count
    as equal: a change lies between neighbours among the lengths at which they differ by more.
    """
    gaps = np.log(first) - np.log(second)
    told = [
        (length, gap > 0)
        for length, gap in zip(lengths, gaps, strict=True)
        if abs(gap) >= np.log(factor)
    ]
    return [(start, end) for (start, was), (end, now) in pairwise(told) if was != now]
