"""Says how far long work on a corpus is; says nothing about short work."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import Progress

QUIET_SECONDS = 2  # progress is shown after these
LINE_SECONDS = 10  # from one line of progress to the next, where no bar can be drawn

Item = TypeVar("Item")


class Watch(Protocol):
    """Hands items on, and shows what was done of `total`; an item counts its `size`."""

    def __call__(
        self, doing: str, items: Iterable[Item], total: int, size: Callable[[Item], int]
    ) -> Iterator[Item]: ...


@contextmanager
def progress() -> Iterator[Watch]:
    """Gives a function to stream items through: a bar in a terminal, elsewhere a line at times."""
    console = Console(stderr=True)
    bars = Progress(console=console, transient=True, disable=not console.is_interactive)
    due = monotonic() + QUIET_SECONDS

    def watch(
        doing: str, items: Iterable[Item], total: int, size: Callable[[Item], int]
    ) -> Iterator[Item]:
        nonlocal due
        bar = bars.add_task(doing, total=total)
        for item in items:
            yield item
            bars.advance(bar, size(item))
            if monotonic() > due:
                due = monotonic() + LINE_SECONDS
                bars.start()
                if bars.disable:
                    task = bars.tasks[bar]
                    left = f", {task.time_remaining:.0f} s left" if task.time_remaining else ""
                    console.print(f"{doing}: {task.percentage:.0f}%{left}")

    try:
        yield watch
    finally:
        bars.stop()
