"""A file that grows row by row, and its checksum: metrics.csv and metrics.crc32.

The second file holds the checksum of the first n bytes of the first one, and n. It is written after
them. A process that is killed between the two leaves a checksum of fewer bytes, or none, but never
a wrong one.
"""

import errno
import os
import zlib
from pathlib import Path

from minitx.errors import UserError
from minitx.runs.atomic_write import append_whole, write_atomically, writing


def write_whole(path: Path, text: str) -> None:
    """Replace the file atomically. Raises WriteError."""
    _checksum_file(path).unlink(missing_ok=True)
    write_atomically(path, text)
    _cover_all(path)


def append(path: Path, text: str) -> None:
    """Add text at the end, all of it or nothing. Raises WriteError."""
    append_whole(path, text)
    _cover_all(path)


def read_checked(path: Path) -> bytes:
    """Return the content of the file. Raises UserError if it is damaged."""
    content, (checksum, size) = path.read_bytes(), _covered(path)
    if len(content) < size or zlib.crc32(content[:size]) != checksum:
        raise UserError(
            f"{path} is damaged, or was changed after minitx wrote it: if it is right as it is, "
            f"delete {_checksum_file(path)}"
        )
    return content


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".crc32")


def _covered(path: Path) -> tuple[int, int]:
    """Return the stored checksum and the number of bytes that it is of: 0, 0 without one."""
    try:
        text = _checksum_file(path).read_bytes()
    except FileNotFoundError:
        text = b""
    if not text:
        return 0, 0
    try:
        checksum, size = text.split()
        return int(checksum, 16), int(size)
    except ValueError:
        return -1, 0  # damaged, too: no content has this checksum


def _cover_all(path: Path) -> None:
    """Extend the stored checksum to all bytes of the file."""
    checksum, size = _covered(path)
    with path.open("rb") as table:
        table.seek(size)
        added = table.read()
    # This is done for each row, so it is one write of a fixed length into the existing file: a
    # process that is killed leaves the text before it or after it.
    text = f"{zlib.crc32(added, max(checksum, 0)):08x} {size + len(added):016d}\n"
    with writing(_checksum_file(path)):
        file = os.open(_checksum_file(path), os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            if os.write(file, text.encode()) < len(text):
                os.ftruncate(file, 0)  # no checksum instead of a part of one
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
