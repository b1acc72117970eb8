"""Test how lines are read from files and streams, and how an answer is written on one."""

import gzip
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data import lines
from minitx.data.lines import (
    count_lines,
    decoded,
    is_stream,
    json_line,
    on_one_line,
    open_stream,
    read_lines,
)
from minitx.errors import UserError

# Every character that ends a line for Python, which knows more of them than other programs.
BREAKS = [chr(i) for i in range(sys.maxunicode + 1) if len(f"a{chr(i)}b".splitlines()) > 1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix.lower() == ".gz" else data)
    return path


@contextmanager
def piped(data: bytes) -> Iterator[Path]:
    """A pipe that holds this, as the shell names it in <(...)."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    yield Path(f"/dev/fd/{reading}")
    os.close(reading)


@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)))
@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz", "LINES.TXT.GZ"])
def test_only_line_feeds_end_lines(place: Path, name: str, lines: list[str]) -> None:
    lines = [f"a{line}\u2028\x85" for line in lines]  # other programs would see more lines here
    for end in ("\n", "\r\n"):
        path = write(place / name, "".join(line + end for line in lines).encode())
        assert list(read_lines(path)) == lines


ODD = {
    "a byte order mark and no last end": (b"\xef\xbb\xbfone\ntwo", ["one", "two"]),
    "blank lines": (b"\n\none\n\n", ["", "", "one", ""]),
    "NUL": (b"o\0ne\n\0\n", ["o\0ne", "\0"]),
    "a mark further on": (b"one\n\xef\xbb\xbftwo\n", ["one", "\ufefftwo"]),
    "an old Mac's ends": (b"one\rtwo\r", ["one\rtwo"]),
}


@pytest.mark.parametrize("case", ODD)
def test_a_pipe_has_the_lines_of_a_file(place: Path, case: str) -> None:
    data, lines = ODD[case]
    path = write(place / "odd.txt", data)
    assert list(read_lines(path)) == lines
    assert count_lines(path) == len(lines)
    with piped(data) as pipe:
        assert list(read_lines(pipe)) == lines
        assert list(read_lines(pipe)) == []  # it is still open, and empty


def test_a_long_line_is_refused_before_all_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    assert list(decoded(BytesIO(b"123456789\n123456789"), "x")) == ["123456789"] * 2
    file = BytesIO(b"1\n" + b"2" * 1000)
    with pytest.raises(UserError, match="x, line 2: it is longer than 100 MB"):
        list(decoded(file, "x"))
    assert file.tell() == 12


def test_streams_are_told_from_files(place: Path) -> None:
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to(place / "fifo")
    with piped(b"") as pipe, (place / "file").open("wb") as file:
        streams = [pipe, place / "fifo", place / "link", Path("/dev/null"), Path("/dev/stdout")]
        # The shell can redirect a stream to a file.
        assert all(map(is_stream, [*streams, Path(f"/dev/fd/{file.fileno()}")]))
    assert not any(map(is_stream, [place, place / "file", place / "missing", Path("/dev")]))
    assert not is_stream(place / ("long" * 1000))
    numbers = {"/dev/stdin": 0, "/dev/stderr": 2, "/dev/fd/63": 63, "/proc/self/fd/7": 7}
    assert {name: open_stream(Path(name)) for name in numbers} == numbers
    others = ("/dev/null", "dev/fd/3", "/dev/fd/x", "/dev/stdin/x", "/tmp/dev/stdin")
    assert {open_stream(Path(name)) for name in others} == {None}


def test_an_open_stream_is_read_from_where_it_is(place: Path) -> None:
    """A shell may have read the first line of what it passes on."""
    with write(place / "rest.txt", b"heading\none\ntwo\n").open("rb", buffering=0) as file:
        file.seek(len(b"heading\n"))
        assert list(read_lines(Path(f"/dev/fd/{file.fileno()}"))) == ["one", "two"]


@pytest.mark.parametrize("stream", ["/dev/fd/987", "/dev/stdin/x"])
def test_a_stream_that_is_not_open_is_an_error(stream: str) -> None:
    with pytest.raises(UserError, match=rf"cannot read {stream} \("):
        list(read_lines(Path(stream)))


@given(text=st.text(st.one_of(st.sampled_from(BREAKS), st.characters(codec="utf-8"))))
def test_what_is_written_on_a_line_is_one_line(text: str) -> None:
    line = on_one_line(text)
    assert len(f"{line}|".splitlines()) == 1
    if not set(text) & set(BREAKS):
        assert line == text
    if not set(text) & set('"\\') and text.isprintable():
        assert json.loads(f'"{line}"') == text
    written = json_line({"text": text})
    assert len(written.splitlines()) == 1
    assert json.loads(written) == {"text": text}


def test_line_breaks_have_their_names_in_json() -> None:
    assert len(BREAKS) == 10
    assert on_one_line("a\r\nb\x85c\u2028\\n\té") == "a\\r\\nb\\u0085c\\u2028\\n\té"
    assert json_line({"é": "a\u2029b\n"}) == '{"é": "a\\u2029b\\n"}'
