"""Widen a sweep whose best value is at its edge."""

from collections.abc import Mapping, Sequence
from typing import Any

from minitx.drawing.formatting import is_number
from minitx.study.plan.definition import Values

# Further values on each side of what a study asks for. Rates usually double from value to value, so
# that the search covers another factor of 8 on either side. A model that is best even further away
# has another fault than its rate.
MOST_FURTHER = 3

Side = tuple[str, int]  # a key, and 1 for larger or -1 for smaller values


def open_sides(best: Values, tried: Sequence[Values]) -> list[Side]:
    """Return the sides on which the best combination has no neighbour among those tried.

    A neighbour has another value of one key, and the same values of the others. Keys of which one
    value was tried have no sides, and neither do keys with a value that is not a number.
    """
    sides = []
    for key, value in best.items():
        if len(_numbers(key, tried)) < 2:
            continue
        line = [each[key] for each in tried if each | {key: value} == best]
        for way in (-1, 1):
            if all(way * each <= way * value for each in line):
                sides.append((key, way))
    return sides


def further(best: Values, tried: Sequence[Values], asked: Mapping[str, list[Any]]) -> list[Values]:
    """Return the combinations that give the best one its missing neighbours.

    A neighbour has a value that other combinations have already tried, or else the next one by the
    ratio of the last two. There are at most `MOST_FURTHER` values on each side of those in `asked`.
    Numbers that are not positive have no ratio, and whole numbers stay whole.
    """
    found = []
    for key, way in open_sides(best, tried):
        values = sorted(_numbers(key, tried), reverse=way < 0)
        position = values.index(best[key])
        if position < len(values) - 1:
            found.append(best | {key: values[position + 1]})
            continue
        edge = max(way * each for each in asked[key])
        beyond = sum(way * each > edge for each in values)
        value = _next(values[-2], values[-1])
        if beyond < MOST_FURTHER and value is not None:
            found.append(best | {key: value})
    return found


def _numbers(key: str, tried: Sequence[Values]) -> set[Any]:
    """Return the values of a key if all are numbers, else an empty set."""
    values = {each[key] for each in tried}
    return values if all(map(is_number, values)) else set()


def _next(last_but_one: Any, last: Any) -> Any:
    """Return the number that continues a geometric sequence, or None."""
    if min(last_but_one, last) <= 0:
        return None
    if isinstance(last, int) and isinstance(last_but_one, int):
        return None if last * last % last_but_one else last * last // last_but_one
    return float(f"{last * last / last_but_one:.3g}")
