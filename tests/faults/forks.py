"""Run scripts in processes that have already imported torch, and send them signals at a moment.

A process that imports torch needs seconds before it does anything. A fork of one that has done so
needs milliseconds, so a campaign can afford hundreds of them.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from forked import handle_signals

SCRIPTS = Path(__file__).parents[2] / "scripts"
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["minitx.commands.cli", "minitx.training.train", "minitx.drawing.figures"]
)
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
LIMIT = 300  # seconds for one process, when the machine has other work


class Moment(NamedTuple):
    """When a process gets signals: after some seconds, or at a change of a file in its folder.

    `change` is the number of the change. Its first signal arrives before the change is made.
    """

    signals: tuple[int, ...]
    seconds: float = 0.0
    change: int | None = None


class Ended(NamedTuple):
    """How a process ended: its exit status, negative for a signal, and what it wrote.

    Unless a signal ended it, `changes` are its changes of files, as (event, path), and `seconds` is
    the time it took.
    """

    status: int
    out: str
    err: str
    changes: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0


class Fork:
    """A script with a command line in a process group of its own, which starts in `folder`."""

    def __init__(self, name, *arguments, folder, moment=None):
        self.moment = moment
        folder.mkdir(parents=True, exist_ok=True)
        self.said = folder.parent / f"{folder.name}.{time.monotonic_ns()}"
        words = [str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
        self.process = SERVER.Process(target=_run, args=(words, folder, self.said, moment))
        self.process.start()

    def wait(self):
        """Send what the moment says, wait for the process, and return how it ended."""
        moment = self.moment
        if moment is not None and moment.change is None:
            self.process.join(moment.seconds)
            for number in moment.signals:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
        self.process.join(LIMIT)
        status = self.process.exitcode
        if status is None:
            self.end()
            raise TimeoutError(f"still running: {_read(self.said, 'err')}")
        out, err = _read(self.said, "out"), _read(self.said, "err")
        return Ended(status, out, err, *json.loads(_read(self.said, "facts") or "[]"))

    def end(self):
        """Kill the whole group, if some of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def group_is_gone(self, within=10.0):
        """Return whether all that the process started has ended, or ends soon."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        return False


def run(name, *arguments, folder, moment=None):
    """Run a script in a fork and return how it ended. Nothing that it started goes on."""
    fork = Fork(name, *arguments, folder=folder, moment=moment)
    try:
        return fork.wait()
    finally:
        fork.end()


def _read(said, stream):
    path = said.with_suffix(said.suffix + f".{stream}")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _run(words, folder, said, moment):
    """What the forked process does."""
    os.setsid()
    os.chdir(folder)
    for descriptor, stream in ((1, "out"), (2, "err")):
        with said.with_suffix(said.suffix + f".{stream}").open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    handle_signals()
    changes, began = _watch(str(folder), moment), time.monotonic()
    sys.argv[:] = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        facts = changes, time.monotonic() - began
        said.with_suffix(said.suffix + ".facts").write_text(json.dumps(facts), encoding="utf-8")


def _watch(folder, moment):
    """Return a list to which each change of a file below the folder is added.

    Python reports them before they are made (PEP 578).
    """
    changes = []

    def hook(event, arguments):
        if not (event in CHANGES or (event == "open" and _writes(arguments))):
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(path))
        if path.startswith(folder):
            changes.append((event, path))
            if moment is not None and len(changes) == moment.change:
                for number in moment.signals:
                    os.kill(os.getpid(), number)

    sys.addaudithook(hook)
    return changes


def _writes(arguments):
    return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
