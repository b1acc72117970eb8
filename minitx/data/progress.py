"""Progress of long work on a corpus. Short work shows nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol, TypeVar

from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from minitx.terminal.console import Console, text_column
from minitx.terminal.text import note

QUIET_SECONDS = 2  # before progress is shown
LINE_SECONDS = 10  # between lines of progress outside a terminal

Item = TypeVar("Item")


class Watch(Protocol):
    """Passes items on and shows progress towards `total`. An item counts as its `size`."""

    def __call__(
        self, doing: str, items: Iterable[Item], total: int, size: Callable[[Item], int]
    ) -> Iterator[Item]: ...


@contextmanager
def progress() -> Iterator[Watch]:
    """Give a function to pass items through. It draws a bar, or prints lines outside a terminal."""
    console = Console(stderr=True)
    bars = Progress(
        text_column("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive,
    )
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
                    note(f"{doing}: {task.percentage:.0f}%{left}")

    try:
        yield watch
    finally:
        bars.stop()
