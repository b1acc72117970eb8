"""Write files that are either complete or absent."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from minitx.config.checksums import with_checksum, with_first_line
from minitx.errors import WriteError

TEMPORARY = ".tmp"  # the suffix of a file that is still being written


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise WriteError, which names the path, for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text to a temporary file next to `path`, then rename it. Raises WriteError."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write bytes as `write_atomically` does. A missing folder is created."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(TEMPORARY, f".{path.name}.", path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o666 & ~_umask())  # temporary files are private, results are not
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def append_whole(path: Path, text: str) -> None:
    """Add UTF-8 text to the end of a file, all of it or nothing. Raises WriteError."""
    with writing(path), path.open("ab", buffering=0) as file:
        end = file.tell()
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            file.truncate(end)
            raise


def remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files below a folder that processes left when they were killed."""
    for file in folder.rglob(f".*{TEMPORARY}"):
        file.unlink(missing_ok=True)


def write_yaml(path: Path, value: dict[str, Any]) -> None:
    """Write plain dicts, lists and scalars as YAML, in the given order, after their checksum."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    write_atomically(path, with_first_line(text))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write plain dicts, lists and scalars as JSON, in the given order."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_checked_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object that is read again, with a checksum as its last field."""
    write_json(path, with_checksum(value))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
