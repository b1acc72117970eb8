"""Texts in, answers out: one from the command line, or the lines of a file or of a stream.

Answers are written chunk by chunk, so a long job that ends early keeps the answers so far.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from minitx.config.paths import check_readable
from minitx.data.lines import count_lines, decoded, is_stream, open_stream, read_lines
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
    """Answer `text`, or else every line of `input`, or else every line of standard input.

    `prepare` turns a text into an input for `answer`, which answers many at once. `prepare` raises
    UserError for a text that cannot be answered. Answers go to `output`, or to standard output.
    `input` and `output` may be files or streams.

    Raises UserError for a bad text, with its line number, after the texts before it are answered;
    for files that cannot be read or written; and for an output that already exists. Raises
    ReaderGone as `Data.flush`.
    """
    check_texts(text, input, output)
    written = False
    to_standard = output is None or open_stream(Path(output)) == 1
    with nullcontext(Data()) if to_standard else open_output(str(output)) as file:
        for chunk, failure in _chunks(text, input):
            ready: list[Prepared] = []
            for place, line in chunk:
                try:
                    ready.append(prepare(line))
                except UserError as error:
                    failure = UserError(f"{place}{error}")
                    break
            for reply in answer(ready) if ready else []:
                file.write(f"{reply}\n")
                written = True
            file.flush()
            if failure is not None:
                kept = f"; what came before it is in {output}" if output and written else ""
                raise UserError(f"{failure}{kept}") from failure


def check_texts(text: str | None, input: str | None, output: str | None) -> None:
    """Refuse `text` together with `input`, an unreadable input, and an output that exists.

    Raises UserError.
    """
    if text is not None and input is not None:
        raise UserError("text= and input= were both given: leave one of them out")
    check_output(output)
    if input is not None and not is_stream(Path(input)):  # a stream can be read only once
        check_readable(input, "input")
        next(read_lines(Path(input)), None)


Chunk = tuple[list[tuple[str, str]], UserError | None]


def _chunks(text: str | None, input: str | None) -> Iterator[Chunk]:
    """Yield chunks of lines with their places, and the error that ended a chunk, or None."""
    if text is not None:
        yield [("", text)], None
        return
    if input is None or open_stream(Path(input)) == 0:
        # In a terminal, each line is answered before the next one is typed.
        size = 1 if sys.stdin.isatty() else CHUNK
        name = "standard input"
        yield from _grouped(decoded(sys.stdin.buffer, name), name, size)
        return
    path = Path(input)
    chunks = _grouped(read_lines(path), str(path), CHUNK)
    if is_stream(path):
        yield from chunks
        return
    with progress() as watch:
        yield from watch("answering", chunks, count_lines(path), lambda chunk: len(chunk[0]))


def _grouped(lines: Iterator[str], name: str, size: int) -> Iterator[Chunk]:
    chunk: list[tuple[str, str]] = []
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            chunk.append((f"{name}, line {number}: ", line))
            if len(chunk) == size:
                yield chunk, None
                chunk = []
        if number == 0:
            raise UserError(f'{name} is empty: set text="..." or input=file, or pipe lines in')
    except UserError as error:
        yield chunk, error
        return
    if chunk:
        yield chunk, None
