"""Errors that are meant for the user."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

# The errno of an OSError if there is no room: on the disk, in a quota, or below a size limit.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


LONGEST_REASON = 200  # characters of an error of a library


def short_reason(error: BaseException) -> str:
    """Return the message of a library's error in one line that is not too long."""
    return " ".join(str(error).split())[:LONGEST_REASON]


class UserError(Exception):
    """The user asked for something that cannot be done.

    The message is one line that names what is wrong and what would be right. Commands print it
    without a traceback and exit with status 1. Every other exception is a bug and keeps its
    traceback.
    """


class WriteError(UserError, OSError):
    """A file or folder cannot be written, for example because the disk is full.

    It is made like an OSError: WriteError(errno, strerror, filename). `advice` says how to go on
    once the file can be written.
    """

    advice = "try again when it can be"

    def __str__(self) -> str:
        return f"{self.filename} cannot be written: {self.strerror}; {self.advice}"

    def advising(self, advice: str) -> "WriteError":
        """Return the same error with other advice."""
        error = WriteError(*self.args, self.filename)
        error.advice = advice
        return error


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Raise UserError with the advice if Python, NumPy or torch cannot allocate memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise UserError(f"not enough memory: {advice}") from error


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that memory cannot be allocated."""
    of_torch = "can't allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or of_torch


class StoppedByUser(UserError):
    """The user stopped a run. A multirun does not start its other jobs either."""
