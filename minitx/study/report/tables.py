"""Tables as a report shows them: every column with as many digits as its numbers need."""

from dataclasses import dataclass
from math import floor, isfinite, log10
from numbers import Real
from typing import Any

import pandas as pd

from minitx.study.formatting import UNKNOWN, number, signed

DIGITS = 4  # of the largest number in a column


@dataclass(frozen=True)
class Shown:
    """A table in writing; `numeric` tells which columns stand to the right."""

    heads: list[str]
    rows: list[list[str]]
    numeric: list[bool]


def shown(table: pd.DataFrame) -> Shown:
    """What is not known is a dash; a column holds the same number of decimals throughout."""
    columns = [list(table[name]) for name in table.columns]
    written = [_column(values) for values in columns]
    return Shown(
        [str(name) for name in table.columns],
        [list(row) for row in zip(*written, strict=True)],
        [_numeric(values) for values in columns],
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _numeric(values: list[Any]) -> bool:
    return bool(values) and all(map(_is_number, values))


def _column(values: list[Any]) -> list[str]:
    if not _numeric(values):
        return ["" if value is None or value != value else number(value) for value in values]
    known = [float(value) for value in values if isfinite(value)]
    most = max(map(abs, known), default=0.0)
    least = min((abs(value) for value in known if value), default=1.0)
    if all(value.is_integer() for value in known) or most >= 10**DIGITS:
        decimals = 0
    elif most and least < most / 10**DIGITS:  # too far apart for one number of decimals
        return [number(float(value)) for value in values]
    else:
        decimals = max(0, DIGITS - 1 - floor(log10(most)))
        # Not more than say something: 0.005, 0.01, 0.02 and not 0.00500.
        while decimals and all(round(v, decimals - 1) == v for v in known):
            decimals -= 1
    return [
        signed(f"{value:,.{decimals}f}") if isfinite(value) else UNKNOWN
        for value in map(float, values)
    ]
