"""Numbers, names and lists as a report writes them."""

from collections.abc import Iterable, Sequence
from math import floor, isnan, log10
from numbers import Real
from typing import Any

from minitx.metrics.decomposable import Measure
from minitx.study.statistics.intervals import Interval

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "–"

# Measures that are shares of something: people read them as percents.
SHARES = ("accuracy", "wer", "per")

# Keys that a grid is usually made of, as people say them: one of it, and several.
AXES = {
    "model.heads": ("head", "heads"),
    "model.layers": ("layer", "layers"),
    "model.context": ("token of context", "tokens of context"),
    "model.dim": ("feature", "features"),
    "task.pairs": ("pair", "pairs"),
    "task.length": ("token", "tokens"),
}
SHARE_OF_DATA = "data.train_fraction"


def amount(measure: Measure, value: float) -> str:
    """A figure with its unit: "2.145 bits per byte", "word error rate 24.3%"."""
    if measure.name in SHARES:
        return f"{measure.words} {plain(measure, value)}"
    return f"{plain(measure, value)} {measure.words}"


def against(measure: Measure, one: float, other: float) -> str:
    """Two figures: "2.145 against 2.219 bits per byte"."""
    if measure.name in SHARES:
        return f"{amount(measure, one)} against {plain(measure, other)}"
    return f"{plain(measure, one)} against {amount(measure, other)}"


def plain(measure: Measure, value: float) -> str:
    """A figure as precisely as it is known: "2.145", "24.3%"; BLEU to a tenth of a point."""
    if isnan(value):
        return UNKNOWN
    return signed(
        f"{100 * value:.1f}%" if measure.name in SHARES else f"{value:.{_decimals(measure)}f}"
    )


def change(measure: Measure, value: float) -> str:
    """A difference, a digit finer than what it is the difference of, without a unit."""
    if isnan(value):
        return UNKNOWN
    share = measure.name in SHARES
    return signed(f"{100 * value:.2f}" if share else f"{value:.{1 + _decimals(measure)}f}")


def size_of_change(measure: Measure, value: float) -> str:
    """The same, for people who have just read the figures: of percents "1.39 percentage points"."""
    unit = " percentage points" if measure.name in SHARES else ""
    return change(measure, value) + unit


def between(measure: Measure, interval: Interval) -> str:
    """The ends of the interval of a difference."""
    return f"{change(measure, interval.low)} to {change(measure, interval.high)}"


def number(value: Any) -> str:
    """A value of any kind and size; of a number four digits, fewer where the others are zeros."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    value = float(value)
    if value.is_integer() and abs(value) < 1e15:
        return signed(f"{int(value):,}")
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return signed(f"{value:.3g}")
    places = max(0, 3 - floor(log10(abs(value))))
    text = f"{value:,.{places}f}"
    return signed(text.rstrip("0").rstrip(".") if places else text)


def setting(value: Any) -> str:
    """A value of a config as one writes it: "0.02", "learned", "true", "null"."""
    if value is None or value != value:
        return "null"
    return str(value).lower() if isinstance(value, bool) else number(value)


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all are, so that they have an order and distances: true and false have none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def as_said(values: Iterable[Any]) -> list[Any]:
    """A column of values of a config: numbers as they are, others as one writes them."""
    values = [value.item() if hasattr(value, "item") else value for value in values]
    known = all(value == value for value in values)
    return values if known and are_numbers(values) else list(map(setting, values))


def signed(text: str) -> str:
    """The text of a number with a minus sign that is as wide as a plus; -0 is 0."""
    if text.startswith("-") and not text.strip("-0.,%"):
        text = text[1:]
    return text.replace("-", MINUS) if text.startswith("-") else text


def seconds(value: float) -> str:
    """A length of time in the unit that suits it: "0.16 s", "148 s", "12 min", "1.9 h"."""
    if value < 10:
        return f"{value:.2g} s"
    if value < 300:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def count(n: int, one: str, several: str | None = None) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def axis_name(axis: str) -> str:
    """What stands along an axis of a figure: "heads", "share of the training data"."""
    if axis == SHARE_OF_DATA:
        return "share of the training data"
    return AXES[axis][1] if axis in AXES else axis.rpartition(".")[2].replace("_", " ")


def at(axis: str, value: Any) -> str:
    """A place in the grid: "8 heads", "10% of the data", "position=rotary"."""
    if axis == SHARE_OF_DATA:
        return f"{100 * value:.3g}% of the data"
    if axis in AXES:
        return f"{number(value)} {AXES[axis][value != 1]}"
    return f"{axis.rpartition('.')[2]}={setting(value)}"


def at_each(axis: str, values: Sequence[Any]) -> str:
    """Several places along an axis: "2, 4 and 8 heads"."""
    if axis == SHARE_OF_DATA:
        return f"{listed([f'{100 * value:.3g}%' for value in values])} of the data"
    if axis in AXES:
        several = list(values) != [1]
        return f"{listed([number(value) for value in values])} {AXES[axis][several]}"
    return f"{axis.rpartition('.')[2]}={listed([setting(value) for value in values])}"


def _decimals(measure: Measure) -> int:
    return 1 if measure.name == "bleu" else 3
