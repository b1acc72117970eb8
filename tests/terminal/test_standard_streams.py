"""Test the standard streams of a command: what cannot be written ends nothing but data."""

import errno
import io
import os
import pty
import sys
import threading
import tty
from contextlib import suppress
from pathlib import Path

import pytest

import minitx
from minitx.errors import UserError
from minitx.terminal import streams
from minitx.terminal.streams import Data, Output, ReaderGone, failure_of, write_data

FULL = Path("/dev/full")
TEXT = "h\u00e9 漢\x1b[31m\x07\r\n"


def stream(number, encoding="ascii", failure=None):
    """Return a protected stream with this number, as `protect_streams` makes it."""
    raw = Output(number, failure)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty(),
    )


@pytest.fixture
def pipe():
    """A pipe: the number to read from and the number to write to. Either may be closed."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


@pytest.fixture
def terminal():
    """A terminal that changes nothing: the number of its screen, and that of its program."""
    screen, program = pty.openpty()
    tty.setraw(program)
    yield screen, program
    os.close(program)
    os.close(screen)


def test_messages_go_on_when_the_reader_has_gone(pipe):
    reader, writer = pipe
    messages = stream(writer)
    print("read", file=messages, flush=True)
    assert os.read(reader, 100) == b"read\n"
    os.close(reader)
    for _ in range(100):
        print("never read", file=messages, flush=True)
    assert isinstance(failure_of(messages), BrokenPipeError)
    os.write(writer, b"as a process would that this one starts")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_messages_go_on_when_the_disk_is_full(monkeypatch, capsys):
    number = os.open(FULL, os.O_WRONLY)
    messages = stream(number)
    monkeypatch.setattr(sys, "stdout", messages)
    print("lost")
    streams.note_lost_messages()
    assert capsys.readouterr().err == (
        "note: messages to standard output are missing: No space left on device\n"
    )
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_data("lost")
    os.close(number)


def test_messages_go_on_when_the_window_is_closed():
    screen, program = pty.openpty()
    messages = stream(program)
    os.close(screen)
    print("never seen", file=messages, flush=True)
    assert failure_of(messages).errno == errno.EIO
    os.close(program)


def test_a_closed_stream_takes_messages_and_refuses_data(monkeypatch):
    number = os.open(os.devnull, os.O_WRONLY)
    closed = stream(number, failure=OSError(errno.EBADF, "it is closed"))
    monkeypatch.setattr(sys, "stdout", closed)
    print("a message")
    with pytest.raises(UserError, match=r"^standard output cannot be written: it is closed$"):
        write_data("data")
    os.close(number)


def test_a_pipe_that_does_not_wait_gets_everything(pipe):
    reader, writer = pipe
    os.set_blocking(writer, False)
    sent, received = "to be, or not to be\n" * 20_000, []

    def read():
        while piece := os.read(reader, 10_000):
            received.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    print(sent, end="", file=stream(writer), flush=True)
    os.close(writer)
    thread.join(60)
    assert b"".join(received).decode() == sent


def test_messages_escape_what_the_encoding_lacks(pipe):
    reader, writer = pipe
    print("h\u00e9 漢", file=stream(writer), flush=True)
    assert os.read(reader, 100) == b"h\\xe9 \\u6f22\n"


def test_other_programs_get_data_exactly_and_in_utf_8(pipe, monkeypatch):
    reader, writer = pipe
    monkeypatch.setattr(sys, "stdout", stream(writer))
    print("a message: \u00e9")
    write_data(TEXT + "\udc80")
    print("another")
    sys.stdout.flush()
    expected = b"a message: \\xe9\n" + TEXT.encode() + b"\\udc80another\n"
    assert os.read(reader, 1000) == expected


def test_a_terminal_gets_printable_data_in_its_encoding(terminal, monkeypatch):
    screen, program = terminal
    monkeypatch.setattr(sys, "stdout", stream(program, "utf-8"))
    write_data(TEXT)
    assert os.read(screen, 1000) == "h\u00e9 漢\\x1b[31m\\x07\\r\n".encode()
    monkeypatch.setattr(sys, "stdout", stream(program, "ascii"))
    write_data(TEXT)
    assert os.read(screen, 1000) == rb"h\xe9 \u6f22\x1b[31m\x07\r" + b"\n"


def test_data_ends_when_the_reader_has_gone(pipe, monkeypatch):
    reader, writer = pipe
    monkeypatch.setattr(sys, "stdout", stream(writer))
    data = Data()
    data.write("first")
    data.flush()
    os.close(reader)
    data.write("second")
    with pytest.raises(ReaderGone):
        data.flush()


def test_streams_that_were_replaced_stay(capsys):
    before = sys.stdout, sys.stderr
    streams.protect_streams()
    assert (sys.stdout, sys.stderr) == before


def test_python_leaves_the_streams_alone(train, tmp_path, monkeypatch):
    """Of a process of its own, for which `sys.__stdout__` is what `sys.stdout` is."""
    monkeypatch.setattr(sys, "__stdout__", sys.stdout)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    before = sys.stdout, sys.stderr, sys.stdout.errors
    train("trainer.max_steps=2", f"run.dir={tmp_path / 'run'}")
    minitx.load(tmp_path / "run").generate("to", length=2)
    assert (sys.stdout, sys.stderr, sys.stdout.errors) == before


def test_warnings_are_shown_as_text(capsys):
    streams._show_warning("about [b]\x1b[31m", UserWarning, "module.py", 3)
    assert r"UserWarning: about [b]\x1b[31m" in capsys.readouterr().err
