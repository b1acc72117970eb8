"""How many times one cost is another: in words, and whether the two count as equal."""

from collections.abc import Mapping
from typing import Any

from minitx.drawing.formatting import three_digits
from minitx.metrics.bootstrap import Interval

EQUAL = 1.1  # costs within this factor count as equal; the speed of a machine varies as much


def ratio_in(row: Mapping[Any, Any]) -> Interval:
    """Return the ratio in a row of a table, with its interval."""
    return Interval(row["ratio"], row["low"], row["high"])


def is_equal(ratio: Interval) -> bool:
    """Return whether no difference is shown: the ratio is close to 1, or may be 1."""
    return 1 / EQUAL < ratio.value < EQUAL or ratio.low <= 1 <= ratio.high


def times(ratio: Interval, unit: str = " times") -> str:
    """Format a ratio with its interval: "3.2 times (3.1 to 3.3)"."""
    ends = f" ({three_digits(ratio.low)} to {three_digits(ratio.high)})" if ratio.known else ""
    return f"{three_digits(ratio.value)}{unit}{ends}"
