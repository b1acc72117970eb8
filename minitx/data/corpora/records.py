"""Files of lines, and files with a record of two texts on each line."""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from minitx.errors import UserError

LONGEST_LINE = 100_000_000  # bytes, because a short .gz file can hold one that fills the memory


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends. A file named *.gz is unpacked.

    Only a line feed ends a line, as in other tools. A carriage return before it is dropped, and so
    is a byte order mark. Raises UserError if the file is missing, damaged or not UTF-8.
    """
    number = 1
    try:
        with _open(path) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
                if len(line) == LONGEST_LINE:
                    raise UserError(f"{path}, line {number}: it is longer than 100 MB")
                start = len(codecs.BOM_UTF8) if line.startswith(codecs.BOM_UTF8) else 0
                yield line[start if number == 1 else 0 :].decode().removesuffix("\n").rstrip("\r")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 (line {number}): save it again as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path} ({reason}): give a UTF-8 text file") from None


def count_lines(path: Path) -> int:
    """Return the number of lines. Raises UserError as `read_lines` does, and for an empty file."""
    count = sum(1 for _ in read_lines(path))
    if not count:
        raise UserError(f"{path} is empty: give a file with text")
    return count


def two_texts(fields: tuple[str, str], texts: Sequence[str]) -> tuple[str, str]:
    """Return two texts without the white space around them.

    Raises ValueError with the field's name for an empty text, and for one that UTF-8 cannot encode.
    """
    first, second = (text.strip() for text in texts)
    for name, text in zip(fields, (first, second), strict=True):
        if not text:
            raise ValueError(f"the {name} is empty")
        text.encode()  # a ValueError for half a surrogate pair, which JSON can contain
    return first, second


class RecordFile:
    """Records of two named texts, one on each line of a .tsv or .jsonl file, or of one with .gz.

    A .tsv has lines of `first TAB second`, without quoting. A .jsonl has objects with both fields.
    Other fields are ignored, and whole numbers are taken as text. White space around a text is
    dropped.

    Raises UserError for another kind of file, and for a missing or empty one. Reading raises
    UserError with the line's number for a malformed line or an empty text.
    """

    def __init__(self, path: Path, fields: tuple[str, str]) -> None:
        self.path, self.fields, self.where = path, fields, f"{path}, line"
        kinds = {".tsv": self._from_tsv, ".jsonl": self._from_json}
        kind = Path(path.name.removesuffix(".gz")).suffix
        if kind not in kinds:
            raise UserError(f"{path} is not a .tsv or .jsonl file, nor one of those with .gz")
        self._parse = kinds[kind]
        if next(read_lines(path), None) is None:
            raise UserError(f"{path} is empty: give {self._shape(kind)} a line")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for number, line in enumerate(read_lines(self.path), 1):
            try:
                yield two_texts(self.fields, self._parse(line))
            except ValueError as error:
                raise UserError(f"{self.where} {number}: {error}") from None

    def _shape(self, kind: str) -> str:
        first, second = self.fields
        if kind == ".tsv":
            return f"{first} TAB {second}"
        return f'{{"{first}": "...", "{second}": "..."}}'

    def _from_tsv(self, line: str) -> Sequence[str]:
        columns = line.split("\t")
        if len(columns) != 2:
            raise ValueError(f"{len(columns) - 1} tabs in place of one: {self._shape('.tsv')}")
        return columns

    def _from_json(self, line: str) -> Sequence[str]:
        try:
            record = json.loads(line)
            texts = [record[name] for name in self.fields]
        except (ValueError, LookupError, TypeError, RecursionError):
            texts = [None]
        if not all(type(text) in (str, int) for text in texts):
            raise ValueError(f"not of the form {self._shape('.jsonl')}")
        return [str(text) for text in texts]


class ParallelFiles:
    """Pairs of texts from two files with corresponding lines.

    Raises UserError if a file is missing or empty, or if the files differ in length. Reading raises
    UserError with the line's number for an empty line.
    """

    def __init__(self, first: Path, second: Path) -> None:
        self.paths = (first, second)
        lines = [count_lines(path) for path in self.paths]
        if lines[0] != lines[1]:
            raise UserError(
                f"{first} has {lines[0]} lines and {second} has {lines[1]}: "
                "line n of one must belong to line n of the other"
            )

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for number, sides in enumerate(zip(*map(read_lines, self.paths), strict=True), 1):
            first, second = (side.strip() for side in sides)
            for path, text in zip(self.paths, (first, second), strict=True):
                if not text:
                    raise UserError(f"{path}, line {number}: the line is empty")
            yield first, second


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
