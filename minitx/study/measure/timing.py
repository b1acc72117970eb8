"""Measure repeatedly how long something takes."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Measured = TypeVar("Measured")


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that the action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given. A CPU does everything at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def repeated(measure: Callable[[], Measured], seconds: float, least: int = 2) -> list[Measured]:
    """Call `measure` for `seconds` seconds, at least `least` times, and return its results.

    A tenth of the time goes to warm-up calls, at least one, whose results are dropped.
    """
    _called(measure, seconds / 10, 1)
    return _called(measure, 0.9 * seconds, least)


def _called(measure: Callable[[], Measured], seconds: float, least: int) -> list[Measured]:
    found: list[Measured] = []
    end = time.perf_counter() + seconds
    while len(found) < least or time.perf_counter() < end:
        found.append(measure())
    return found
