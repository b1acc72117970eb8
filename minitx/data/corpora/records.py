"""Files with a record of two texts on each line."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from textwrap import shorten

from minitx.data.cleaning import clean
from minitx.data.lines import count_lines, read_lines
from minitx.errors import UserError

_HEADING = re.compile(
    "(?i)category|class|comment|genre|input|intent|labels?|output|question|review|sentence|"
    "sentiment|source|src|tag|target|text|tgt|topic|translation"
)


def is_heading(text: str) -> bool:
    """Return whether a text is a usual heading of a column of texts or labels."""
    return _HEADING.fullmatch(text) is not None


def is_quoted(text: str) -> bool:
    """Return whether a text is in quotes, as in CSV."""
    return len(text) > 1 and text[0] == text[-1] == '"'


def two_texts(fields: tuple[str, str], texts: Sequence[str]) -> tuple[str, str]:
    """Return two texts as `clean` does, which calls them by the names of their fields."""
    first, second = (clean(text, field) for field, text in zip(fields, texts, strict=True))
    return first, second


class RecordFile:
    """Records of two named texts, one on each line of a .tsv or .jsonl file, or of one with .gz.

    A .tsv has lines of `first TAB second`, without quoting. A .jsonl has objects with both fields.
    Other fields are ignored, and whole numbers are taken as text. White space around a text is
    dropped.

    Raises UserError for another kind of file, for a missing or empty one, and for a .tsv whose
    first line is a heading or whose first lines are quoted. Reading raises UserError with the
    line's number for a malformed line or an empty text.
    """

    def __init__(self, path: Path, fields: tuple[str, str]) -> None:
        self.path, self.fields, self.where = path, fields, f"{path}, line"
        kinds = {".tsv": self._from_tsv, ".jsonl": self._from_json}
        kind = Path(path.name.casefold().removesuffix(".gz")).suffix
        if kind not in kinds:
            raise UserError(
                f"{path} is not a .tsv or .jsonl file, nor one of those with .gz: "
                f"give {self._shape('.tsv')} a line"
            )
        self.kind, self._parse = kind, kinds[kind]
        beginning = list(islice(read_lines(path), 3))
        if not beginning:
            raise UserError(f"{path} is empty: give {self._shape(kind)} a line")
        if kind == ".tsv":
            self._check_beginning(beginning)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for number, line in enumerate(read_lines(self.path), 1):
            try:
                yield two_texts(self.fields, self._parse(line))
            except (ValueError, UserError) as error:
                raise UserError(f"{self.where} {number}: {error}") from None

    def place(self, field: int) -> str:
        """Return where the first or the second text of a record is read from."""
        if self.kind == ".tsv":
            return ("the first column", "the second column")[field]
        return f'the field "{self.fields[field]}"'

    def _check_beginning(self, lines: Sequence[str]) -> None:
        """Raise UserError for a heading, and for quotes, which would be part of the texts."""
        rows = [[cell.strip() for cell in line.split("\t")] for line in lines]
        first = rows[0]
        if len(first) == len(set(first)) > 1 and all(map(is_heading, first)):
            raise UserError(f"{self.where} 1: {lines[0]!r} looks like a heading: remove the line")
        if all(len(row) > 1 and all(map(is_quoted, row)) for row in rows):
            raise UserError(
                f"{self.where} 1: the texts are in quotes, which would be part of them: "
                f"write {self._shape('.tsv')} without quotes"
            )

    def _shape(self, kind: str) -> str:
        first, second = self.fields
        if kind == ".tsv":
            return f"{first} TAB {second}"
        return f'{{"{first}": "...", "{second}": "..."}}'

    def _from_tsv(self, line: str) -> Sequence[str]:
        columns = line.split("\t")
        if len(columns) != 2:
            commas = ", and commas do not count" if len(columns) == 1 and "," in line else ""
            raise ValueError(
                f"{len(columns) - 1} tabs in place of one: {self._shape('.tsv')}{commas}"
            )
        return columns

    def _from_json(self, line: str) -> Sequence[str]:
        record = None
        try:
            record = json.loads(line)
            texts = [record[name] for name in self.fields]
        except (ValueError, LookupError, TypeError, RecursionError):
            texts = [None]
        if not all(type(text) in (str, int) for text in texts):
            raise ValueError(f"not of the form {self._shape('.jsonl')}{self._but(record)}")
        return [str(text) for text in texts]

    def _but(self, record: object) -> str:
        """Return what is wrong with a line of JSON, or "" if it is no object with fields."""
        if type(record) is not dict or not record:
            return ""
        if not set(self.fields) <= set(record):
            return f": its fields are {shorten(', '.join(map(json.dumps, record)), 100)}"
        wrong = next(name for name in self.fields if type(record[name]) not in (str, int))
        value = shorten(json.dumps(record[wrong]), 60)
        return f': "{wrong}" is {value}, which is neither text nor a whole number'


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
        return zip(*map(_cleaned_lines, self.paths), strict=True)


def _cleaned_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(read_lines(path), 1):
        try:
            cleaned = clean(line, "line")
        except UserError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        yield cleaned
