"""Texts in, answers out: one from the command line, or the lines of a file or of standard input.

Answers are written chunk by chunk, so a long job that ends early keeps the answers so far.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

from minitx.config.paths import check_readable
from minitx.data.corpora.records import count_lines, read_lines
from minitx.data.progress import progress
from minitx.errors import UserError
from minitx.runs.paths import check_output, open_output
from minitx.terminal.streams import Data

CHUNK = 500  # lines that are answered together

Prepared = TypeVar("Prepared")


def answer_lines(
    text: str | None,
    input: str | None,
    output: str | None,
    prepare: Callable[[str], Prepared],
    answer: Callable[[list[Prepared]], list[str]],
) -> None:
    """Answer `text`, or else every line of the file `input`, or else every line of standard input.

    `prepare` turns a text into an input for `answer`, which answers many at once. `prepare` raises
    UserError for a text that cannot be answered. Answers go to the file `output`, or to standard
    output.

    Raises UserError for a bad text, with its line number, after the texts before it are answered;
    for files that cannot be read or written; and for an output that already exists. Raises
    ReaderGone as `Data.flush`.
    """
    check_texts(text, input, output)
    with _opened(output) as file:
        for chunk, failure in _chunks(text, input):
            ready: list[Prepared] = []
            for place, line in chunk:
                try:
                    check_utf8(line)
                    ready.append(prepare(line))
                except UserError as error:
                    failure = UserError(f"{place}{error}")
                    break
            for reply in answer(ready) if ready else []:
                file.write(f"{reply}\n")
            file.flush()
            if failure is not None:
                to_file = not isinstance(file, Data) and file.tell()
                kept = f"; what came before it is in {output}" if to_file else ""
                raise UserError(f"{failure}{kept}") from failure


def check_texts(text: str | None, input: str | None, output: str | None) -> None:
    """Refuse `text` together with `input`, an unreadable input, and an output that exists.

    Raises UserError.
    """
    if text is not None and input is not None:
        raise UserError("text= and input= were both given: leave one of them out")
    check_output(output)
    if input is not None:
        check_readable(input, "input")
        next(read_lines(Path(input)), None)


def check_utf8(text: str) -> None:
    """Raise UserError for a text that is not UTF-8, such as a command line in another encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError("the text is not UTF-8: convert it to UTF-8") from None


Chunk = tuple[list[tuple[str, str]], UserError | None]


def _chunks(text: str | None, input: str | None) -> Iterator[Chunk]:
    """Yield chunks of lines with their places, and the error that ended a chunk, or None."""
    if text is not None:
        yield [("", text)], None
        return
    if input is None:
        # In a terminal, each line is answered before the next one is typed.
        typed = sys.stdin.isatty()
        yield from _grouped(_standard_input(), "standard input", 1 if typed else CHUNK)
        return
    path = Path(input)
    with progress() as watch:
        chunks = _grouped(read_lines(path), str(path), CHUNK)
        yield from watch("answering", chunks, count_lines(path), lambda chunk: len(chunk[0]))


def _grouped(lines: Iterator[str], name: str, size: int) -> Iterator[Chunk]:
    chunk: list[tuple[str, str]] = []
    try:
        for number, line in enumerate(lines, 1):
            chunk.append((f"{name}, line {number}: ", line))
            if len(chunk) == size:
                yield chunk, None
                chunk = []
    except UserError as error:
        yield chunk, error
        return
    if chunk:
        yield chunk, None


def _standard_input() -> Iterator[str]:
    number = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise UserError(f"standard input is not UTF-8 (line {number})") from None
    if number == 0:
        raise UserError('nothing to answer: set text="..." or input=file, or pipe lines in')


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO | Data]:
    if output is None:
        yield Data()
        return
    with open_output(output) as file:
        try:
            yield file
        except UserError:
            if not file.tell():  # it is empty
                os.unlink(output)
            raise
