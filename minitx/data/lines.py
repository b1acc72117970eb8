"""Lines of text: read from files and streams, and written with one answer on each."""

import codecs
import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from minitx.data.progress import announced
from minitx.errors import UserError

LONGEST_LINE = 100_000_000  # bytes, because a short .gz file can hold one that fills the memory
STANDARD = ("stdin", "stdout", "stderr")  # the streams 0, 1 and 2

# All that ends a line for Python's str.splitlines or for other programs, and its name in JSON.
LINE_BREAKS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
_ESCAPED = {ord(character): json.dumps(character)[1:-1] for character in LINE_BREAKS}


def open_stream(path: Path) -> int | None:
    """Return the file descriptor that a path names, as in /dev/stdin and /dev/fd/3.

    Return None for all other paths.
    """
    names = "|".join(STANDARD)
    named = re.fullmatch(rf"/dev/({names})|/(?:dev|proc/self)/fd/(\d+)", str(path))
    if named is None:
        return None
    return STANDARD.index(named[1]) if named[1] else int(named[2])


def is_stream(path: Path) -> bool:
    """Return whether a path is neither a file nor a folder, but a pipe, a device or an open stream.

    What a stream contains can be read only once, and a stream cannot be replaced by a file.
    """
    if open_stream(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:  # opening it says why
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file or a stream of text. A file named *.gz is unpacked.

    An open stream is read from where it is now, and is not closed. Raises UserError if the file is
    missing or damaged, also if this shows only in the block.
    """
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path} ({reason}): give a UTF-8 text file") from None


def _open(path: Path) -> IO[bytes]:
    stream = open_stream(path)
    if stream is not None:
        return open(stream, "rb", closefd=False)
    if path.name.casefold().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file or a stream as `decoded` does. Raises UserError as `opened`."""
    with opened(path) as file:
        yield from decoded(file, str(path))


def decoded(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a file in UTF-8 without their ends.

    Only a line feed ends a line, as in other tools. A carriage return before it is dropped, and so
    is a byte order mark. Raises UserError with the line's number for a line that is not UTF-8.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            raise UserError(f"{name}, line {number}: it is longer than 100 MB")
        try:
            text = line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
        except UnicodeDecodeError:
            if isinstance(file, gzip.GzipFile):
                file.seek(0, os.SEEK_END)  # raises an error if the file is damaged, which is why
            raise UserError(f"{name} is not UTF-8 (line {number}): {remedy(line)}") from None
        yield text.removesuffix("\n").rstrip("\r")


# The first bytes of compressed files that are not unpacked, or have the wrong name.
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}


def remedy(start: bytes) -> str:
    """Return what to do about a file that is not UTF-8 and begins with these bytes."""
    for first, kind in PACKED.items():
        if start.startswith(first):
            named = ", or name it *.gz" if kind == "gzip" else ""
            return f"it is packed by {kind}, so unpack it{named}"
    return "save it as UTF-8"


def count_lines(path: Path) -> int:
    """Return the number of lines. Raises UserError as `read_lines` does, and for an empty file."""
    with announced(f"counting the lines of {path}"):
        count = sum(1 for _ in read_lines(path))
    if not count:
        raise UserError(f"{path} is empty: give a file with text")
    return count


def on_one_line(text: str) -> str:
    r"""Return a text with its line breaks written as in JSON: a line feed is \n."""
    return text.translate(_ESCAPED)


def json_line(value: Any) -> str:
    """Return a value as JSON on one line, for every program that reads lines."""
    return on_one_line(json.dumps(value, ensure_ascii=False))
