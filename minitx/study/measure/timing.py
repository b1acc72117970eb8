"""How long something takes: measured often, as long as there is time."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

Measured = TypeVar("Measured")


def timed(action: Callable[[], Any]) -> float:
    """Seconds that the action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def repeated(measure: Callable[[], Measured], seconds: float, least: int = 2) -> list[Measured]:
    """What `measure` finds, called again and again for so many seconds, but `least` times.

    A tenth of the time goes to calls, one or more, that do not count: the first ones are slower.
    """
    _called(measure, seconds / 10, 1)
    return _called(measure, 0.9 * seconds, least)


def _called(measure: Callable[[], Measured], seconds: float, least: int) -> list[Measured]:
    found: list[Measured] = []
    end = time.perf_counter() + seconds
    while len(found) < least or time.perf_counter() < end:
        found.append(measure())
    return found
