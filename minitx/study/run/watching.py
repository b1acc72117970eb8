"""Show the progress of a study, whichever processes do its runs."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

from rich.progress import BarColumn, Progress

from minitx.study.plan.manifest import PlannedRun
from minitx.study.plan.run_store import RunStore
from minitx.terminal.console import Console, text_column
from minitx.terminal.text import note

EVERY, EVERY_LINE = 1.0, 30.0  # seconds between updates of the bar; between lines


@contextmanager
def watching(runs: Sequence[PlannedRun], store: RunStore, total: int) -> Iterator[None]:
    """Show the runs done, running and left: as a bar in a terminal, else as a line now and then.

    `total` is the number of runs of the study, including those that are planned later, without
    those of higher rungs of a ladder.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(runs, store, total, sys.stderr, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(
    runs: Sequence[PlannedRun],
    store: RunStore,
    total: int,
    stderr: TextIO,
    stop: threading.Event,
) -> None:
    console = Console(file=stderr)
    bar = Progress(
        text_column("studying", "bold"),
        BarColumn(),
        text_column("{task.fields[status]}"),
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,  # jobs in this process redirect it to their logs
        redirect_stderr=False,
        disable=not console.is_interactive,
    )
    task = bar.add_task("", total=total, status="")
    began, line_due = time.time(), 0.0
    before = len(_finished(runs, store))
    with bar:
        while True:
            finished = _finished(runs, store)
            status = _status(runs, finished, store, total, began, before)
            bar.update(task, completed=len(finished), status=status)
            bar.refresh()
            if not console.is_interactive and time.time() >= line_due:
                note(f"studying: {status}", stderr)
                line_due = time.time() + EVERY_LINE
            if stop.wait(EVERY):
                return


def _finished(runs: Sequence[PlannedRun], store: RunStore) -> list[PlannedRun]:
    """The trained runs, tested or not."""
    return [run for run in runs if store.trained(run.key) or store.done(run)]


def _status(
    runs: Sequence[PlannedRun],
    finished: Sequence[PlannedRun],
    store: RunStore,
    total: int,
    began: float,
    before: int,
) -> str:
    undone = [run for run in runs if not store.done(run)]
    failed = [run for run in undone if store.given_up(run.key)]
    open_ = [run for run in undone if run not in failed]
    running = [run for run in open_ if _written_since(store, run, began)]
    # A run can be trained and fail its test, and two arms can have the same key.
    left = total - len({id(run) for run in (*finished, *failed, *running)})
    parts = [f"{len(finished)} of {total} runs done"]
    if failed:
        parts.append(f"{len(failed)} failed")
    for doing, those in (
        ("running", [run for run in running if run not in finished]),
        ("testing", [run for run in running if run in finished]),
    ):
        if those:
            parts.append(f"{doing} {'; '.join(run.label for run in those)}")
    parts.append(f"{left} left")
    new = len(finished) - before
    if new and left + len(running):
        # On average, half of a running run is done.
        seconds = (time.time() - began) / (new + len(running) / 2) * (left + len(running) / 2)
        parts.append(f"about {timedelta(seconds=round(seconds))} to go")
    return ", ".join(parts)


def _written_since(store: RunStore, run: PlannedRun, began: float) -> bool:
    log = store.log(run.key)
    return log.exists() and log.stat().st_mtime >= began
