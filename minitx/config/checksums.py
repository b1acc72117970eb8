"""Checksums of stored files, so that a damaged file is noticed and not read as other numbers.

All are CRC-32, which notices every flipped bit, and costs less than reading the file. A checksum
protects from damage, not from intent. It is stored

- in a JSON object: as its last field, `crc32`, of all other fields;
- in config.yaml: in its first line, a comment, of the lines after it;
- of metrics.csv, which grows: in metrics.crc32, with the number of bytes that it is of;
- of the files of a cache or of measured/: in the file of the folder that is written last;
- in a checkpoint: by torch, in the format of zip archives;
- in the weights of an export for torch: in their header.

Files of earlier versions have no checksum, and are accepted.
"""

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minitx.errors import UserError

FIELD = "crc32"
BLOCK = 1 << 20
_FIRST_LINE = re.compile(r"# crc32 ([0-9a-f]{8}) of all other lines.*\n")
_DAMAGED = "it is damaged, or was changed after minitx wrote it"


def checksum(content: bytes) -> str:
    """Return the checksum of some bytes, in hexadecimal."""
    return f"{zlib.crc32(content):08x}"


def file_checksum(path: Path) -> str:
    """Return the checksum of a file, in hexadecimal. Raises OSError if it cannot be read."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum, which does not depend on how it is indented."""
    return {**values, FIELD: checksum(json.dumps(values).encode())}


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Return the JSON object in a file, without its checksum.

    Raises FileNotFoundError, and UserError with the `remedy` for a file that is damaged or not a
    JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        if values.pop(FIELD, None) not in (None, checksum(json.dumps(values).encode())):
            raise ValueError(_DAMAGED)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): {remedy}") from error
    return values


def with_first_line(text: str) -> str:
    """Return YAML after a comment with its checksum."""
    return f"# {FIELD} {checksum(text.encode())} of all other lines: delete it to edit them\n{text}"


def check_first_line(text: str) -> None:
    """Raise ValueError if YAML does not have the checksum in its first line."""
    found = _FIRST_LINE.match(text)
    if found and found[1] != checksum(text[found.end() :].encode()):
        raise ValueError(f"{_DAMAGED}: if you changed it, delete its first line")
