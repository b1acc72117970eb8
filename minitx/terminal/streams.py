"""The standard streams of a command: messages never end it, and data arrives exactly.

A message that cannot be printed is no reason to lose a run. So after `protect_streams`, printing
raises no error: characters that the encoding lacks are escaped, and when a stream fails (nobody
reads it any more, the disk is full), the rest is dropped. `Data` is for output that is the purpose
of a command. It raises the error.
"""

import errno
import io
import os
import select
import sys
import warnings
from typing import Any, TextIO

from minitx.errors import UserError
from minitx.terminal.text import note, printable


class ReaderGone(Exception):
    """Nobody reads standard output any more: `| head` has all it wants. This is not an error."""


class Output(io.FileIO):
    """A standard stream that accepts everything. `failure` is the error of the first failed write.

    From then on, the number of the stream is that of the null device, also for the processes that
    this one starts.
    """

    def __init__(self, number: int, failure: OSError | None) -> None:
        super().__init__(number, "w", closefd=False)
        self.failure = failure

    def write(self, data: Any, /) -> int:
        try:
            while (written := super().write(data)) is None:  # a full pipe in non-blocking mode
                select.select([], [self], [])
            return written
        except OSError as error:
            self.failure = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)


def protect_streams() -> None:
    """Prepare this process's standard streams for a command. Streams that were replaced stay."""
    closed = [number for number in range(3) if _is_closed(number)]
    for _ in closed:  # the lowest free number is taken next, and a run's file must not get it
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _protected(sys.stdout, 1, 1 in closed)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _protected(sys.stderr, 2, 2 in closed)
        warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of a library, which may quote the user's text."""
    text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(printable(text))


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _protected(stream: TextIO | None, number: int, closed: bool) -> TextIO:
    failure = OSError(errno.EBADF, "it is closed") if closed else None
    raw = Output(number, failure)
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        "utf-8" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=number == 2 or raw.isatty(),
        write_through=getattr(stream, "write_through", False),  # PYTHONUNBUFFERED
    )


def failure_of(stream: TextIO) -> OSError | None:
    """Return the error after which a protected stream drops everything, or None."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Output) else None


class Data:
    """Standard output for data: generated text, answers, a page.

    Files and other programs get the exact text in UTF-8, whatever the encoding of messages is. A
    terminal gets printable text in its own encoding.
    """

    def __init__(self) -> None:
        self.stream = sys.stdout  # later, a progress bar may take its place
        self.binary = None if self.stream.isatty() else getattr(self.stream, "buffer", None)

    def write(self, text: str) -> None:
        """Write the text, at the latest with the next `flush`."""
        if self.binary is None:
            self.stream.write(printable(text))
        else:
            self.stream.flush()  # messages before it
            self.binary.write(text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Raise ReaderGone, or UserError if something could not be written."""
        self.stream.flush()
        failure = failure_of(self.stream)
        if isinstance(failure, BrokenPipeError):
            raise ReaderGone
        if failure is not None:
            raise UserError(f"standard output cannot be written: {failure.strerror}")


def write_data(text: str) -> None:
    """Write a whole text to standard output. Raises as `Data.flush`."""
    data = Data()
    data.write(text)
    data.flush()


def note_lost_messages() -> None:
    """Print a note on standard error if standard output failed, unless its reader has gone."""
    sys.stdout.flush()
    failure = failure_of(sys.stdout)
    if failure is not None and failure.errno not in (errno.EPIPE, errno.EBADF):
        note(f"note: messages to standard output are missing: {failure.strerror}")
