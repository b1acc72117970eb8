"""Numbers, durations, config values and lists as text, for tables, figures and sentences."""

from collections.abc import Iterable, Sequence
from math import floor, isfinite, isnan, log10
from numbers import Real
from typing import Any

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "–"
DIGITS = 4  # of the largest number in a column


def is_number(value: Any) -> bool:
    """Return whether the value is a real number. True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def number(value: Any) -> str:
    """Format a value of any type; a number gets four significant digits without trailing zeros."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return UNKNOWN
    if not is_number(value):
        return str(value)
    value = float(value)
    if value.is_integer() and abs(value) < 1e15:
        return signed(f"{int(value):,}")
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return signed(f"{value:.3g}")
    places = max(0, DIGITS - 1 - floor(log10(abs(value))))
    text = f"{value:,.{places}f}"
    return signed(text.rstrip("0").rstrip(".") if places else text)


def three_digits(value: float) -> str:
    """Format a measured time or rate, of which no more than three digits are known."""
    return number(float(f"{value:.3g}"))


def decimals(value: float, places: int) -> str:
    """Format a number with a fixed number of decimals; NaN is a dash."""
    return UNKNOWN if isnan(value) else signed(f"{value:,.{places}f}")


def metric(value: float) -> str:
    """Format a metric for the terminal: with four decimals below 10, with two from there on."""
    return f"{value:.4f}" if value < 10 else f"{value:.2f}"


def percent(fraction: float, digits: int = 3) -> str:
    """Format a fraction as a percentage with `digits` significant digits; only 1 becomes 100%."""
    return ">99.9%" if 0.9995 <= fraction < 1 else f"{100 * fraction:.{digits}g}%"


def whole_percent(fraction: float) -> str:
    """Format a fraction as whole percent; only 0 and 1 themselves become 0% and 100%."""
    if isnan(fraction):
        return UNKNOWN
    if 0 < fraction < 0.01:
        return "<1%"
    if 0.99 < fraction < 1:
        return ">99%"
    return f"{fraction:.0%}"


def signed(text: str) -> str:
    """Replace a leading hyphen by a minus sign, and remove it from zero."""
    if text.startswith("-") and not text.strip("-0.,%"):
        text = text[1:]
    return text.replace("-", MINUS) if text.startswith("-") else text


def column(values: Sequence[Any]) -> list[str]:
    """Format a table's column; a column of numbers has the same number of decimals throughout."""
    if not values or not all(map(is_number, values)):
        return ["" if value is None or value != value else number(value) for value in values]
    known = [float(value) for value in values if isfinite(value)]
    most = max(map(abs, known), default=0.0)
    least = min((abs(value) for value in known if value), default=1.0)
    if all(value.is_integer() for value in known) or most >= 10**DIGITS:
        places = 0
    elif most and least < most / 10**DIGITS:  # no number of decimals suits both
        return [number(float(value)) for value in values]
    else:
        places = max(0, DIGITS - 1 - floor(log10(most)))
        # Drop zeros that all values end with: 0.005, 0.01, 0.02 rather than 0.00500.
        while places and all(round(value, places - 1) == value for value in known):
            places -= 1
    return [decimals(value if isfinite(value) else float("nan"), places) for value in values]


def seconds(value: float) -> str:
    """Format a duration in a unit that suits it: "0.16 s", "148 s", "12 min", "1.9 h"."""
    if value < 10:
        return f"{value:.2g} s"
    if value < 300:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def setting(value: Any) -> str:
    """Format a config value as a user types it: "0.02", "learned", "true", "null"."""
    if value is None or value != value:
        return "null"
    return str(value).lower() if isinstance(value, bool) else number(value)


def settings(values: Iterable[Any]) -> list[Any]:
    """Return a column of config values: numbers unchanged, anything else as a user types it."""
    values = [value.item() if hasattr(value, "item") else value for value in values]
    known = all(value == value for value in values)
    return values if known and all(map(is_number, values)) else list(map(setting, values))


def count(n: int, noun: str) -> str:
    """Format a count with its noun: "1 seed", "3 seeds"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(parts: Iterable[str]) -> str:
    """Join words: "a", "a and b", "a, b and c"."""
    *rest, last = list(parts) or [""]
    return f"{', '.join(rest)} and {last}" if rest else last
