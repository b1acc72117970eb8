"""Progress of long work. Short work shows nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Protocol, TypeVar

from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TimeRemainingColumn

from minitx.terminal.console import Console, text_column
from minitx.terminal.text import note

QUIET_SECONDS = 2  # before progress is shown
LINE_SECONDS = 10  # between lines of progress outside a terminal
_SHOWN = Lock()  # two bars at once would draw over each other

Item = TypeVar("Item")


class Watch(Protocol):
    """Passes items on and shows progress towards `total`. An item counts as its `size`."""

    def __call__(
        self, doing: str, items: Iterable[Item], total: int, size: Callable[[Item], int]
    ) -> Iterator[Item]: ...


@contextmanager
def progress() -> Iterator[Watch]:
    """Yield a `Watch`, which draws a bar, or prints lines outside a terminal."""
    with _bars() as bars:

        def watch(
            doing: str, items: Iterable[Item], total: int, size: Callable[[Item], int]
        ) -> Iterator[Item]:
            bar = bars.add_task(doing, total=total)
            for item in items:
                yield item
                bars.advance(bar, size(item))

        yield watch


@contextmanager
def announced(doing: str) -> Iterator[None]:
    """Show what the block does, for work whose progress is unknown."""
    with _bars() as bars:
        bars.add_task(doing, total=None)
        yield


@contextmanager
def _bars() -> Iterator[Progress]:
    """Yield bars that a thread redraws, so that even a slow first item is announced."""
    if not _SHOWN.acquire(blocking=False):  # this is a part of other work, which is shown
        yield Progress(disable=True)
        return
    try:
        with _redrawn() as bars:
            yield bars
    finally:
        _SHOWN.release()


@contextmanager
def _redrawn() -> Iterator[Progress]:
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
    done = Event()

    def show() -> None:
        seconds = QUIET_SECONDS
        while not done.wait(seconds):
            seconds = LINE_SECONDS
            if not bars.disable:
                bars.start()
            elif bars.tasks:
                note(_line(bars.tasks[-1]))

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield bars
    finally:
        done.set()
        thread.join()
        bars.stop()


def _line(task: Task) -> str:
    if task.total is None:
        return f"{task.description} ..."
    left = f", {task.time_remaining:.0f} s left" if task.time_remaining else ""
    return f"{task.description}: {task.percentage:.0f}%{left}"
