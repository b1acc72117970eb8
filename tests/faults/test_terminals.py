"""Give commands any terminal, and streams that fail: runs finish, and lost data is an error."""

import contextlib
import io
import os
import pty
import random
import runpy
import sys
import threading
import unicodedata
from pathlib import Path

from forks import LIMIT, SCRIPTS, SERVER
from hostile_texts import hostile
from run_files import summary
from variants import VARIANTS

from minitx.terminal.text import JOINERS, NOT_DRAWN

RUNS = Path(__file__).parents[1] / "old_runs"
DATA = [
    ["train", "--help"],
    ["compare", "--cfg", "job"],
    ["explain"],
    ["generate", f"run={RUNS / 'language_modeling'}", "length=40", "prompt=the sea"],
    ["translate", f"run={RUNS / 'sequence_to_sequence'}", "text=7 4 2 5", "n_best=2"],
    ["predict", f"run={RUNS / 'classification'}", "text=a"],
]
ENDS = ["read", "nobody", "closed", "terminal", "hung up"]
ENDS += ["full"] * Path("/dev/full").exists()  # only Linux has it
ENCODINGS = ["utf-8", "ascii", "latin-1"]
SHAPES = [
    {"COLUMNS": width, "TERM": term} for width in ("1", "20", "500") for term in ("dumb", "xterm")
]


def attach(number, end, seen):
    """Make a standard stream of this process end in something. Return what reads it, if any."""
    if end == "closed":
        os.close(number)
        return None
    if end == "full":
        reader, writer = None, os.open("/dev/full", os.O_WRONLY)
    elif end in ("terminal", "hung up"):
        reader, writer = pty.openpty()
    else:
        reader, writer = os.pipe()
    os.dup2(writer, number)
    os.close(writer)
    if end in ("nobody", "hung up"):
        os.close(reader)
    if end not in ("read", "terminal"):
        return None
    thread = threading.Thread(target=copy, args=(reader, seen), daemon=True)
    thread.start()
    return thread


def copy(reader, seen):
    with seen.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while piece := os.read(reader, 65536):
            file.write(piece)


def as_at_the_start(number, encoding, errors):
    """Return the stream that Python opens when it starts; None if it is closed."""
    try:
        raw = io.FileIO(number, "w", closefd=False)
    except OSError:
        return None
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=raw.isatty())


def start(words, ends, encoding, shape, folder):
    """What the forked process does: it runs a script with these streams."""
    os.chdir(folder)
    os.environ |= shape
    readers = [attach(1, ends["out"], folder / "out"), attach(2, ends["err"], folder / "err")]
    sys.stdout = sys.__stdout__ = as_at_the_start(1, encoding, "strict")
    sys.stderr = sys.__stderr__ = as_at_the_start(2, encoding, "backslashreplace")
    sys.argv[:] = [str(SCRIPTS / f"{words[0]}.py"), *words[1:]]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        for number, reader in enumerate(readers, 1):
            if reader is not None:
                (sys.stdout, sys.stderr)[number - 1].flush()
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
                reader.join(LIMIT)


def ended(words, ends, encoding, shape, folder):
    """Run a script with these streams; return its status and what was read from each."""
    folder.mkdir()
    process = SERVER.Process(target=start, args=(words, ends, encoding, shape, folder))
    process.start()
    process.join(LIMIT)
    assert process.exitcode is not None, "still running"
    read = [
        (folder / name).read_bytes() if (folder / name).exists() else b"" for name in ("out", "err")
    ]
    return process.exitcode, *(each.decode("utf-8", "replace") for each in read)


def obeyed(text):
    """Return the characters that a terminal obeys, without those of our bars and colours."""
    return {c for c in text if unicodedata.category(c) in NOT_DRAWN} - {*JOINERS, *"\n\r\t\x1b"}


def test_a_run_finishes_whatever_its_streams_are(tally, trials, tmp_path):
    row = tally("streams that fail, and any terminal, while a run is trained", "it finishes")
    for seed in trials(fast=2, full=60):
        draw = random.Random(seed)
        ends = {"out": draw.choice(ENDS[1:]), "err": draw.choice(ENDS)}
        encoding, shape = draw.choice(ENCODINGS), draw.choice(SHAPES)
        with row.trial(f"seed {seed}, {ends}, {encoding}, {shape}"):
            variant = draw.choice([name for name in VARIANTS if name != "two processes"])
            folder = tmp_path / f"train{seed}"
            words = ["train", *VARIANTS[variant], "run.dir=[b] 漢\x07[/b]"]
            status, out, err = ended(words, ends, encoding, shape, folder)
            assert status == 0, err
            assert summary(folder / "[b] 漢\x07[/b]")["status"] == "finished"
            assert "Traceback" not in err
            assert not obeyed(out + err)


def test_a_command_answers_or_says_what_is_wrong_with_its_streams(tally, trials, tmp_path):
    row = tally("streams that fail, and any terminal, for commands that answer", "answer, or line")
    for seed in trials(fast=6, full=120):
        draw = random.Random(seed)
        ends, words = {"out": draw.choice(ENDS), "err": "read"}, DATA[seed % len(DATA)]
        encoding, shape = draw.choice(ENCODINGS), draw.choice(SHAPES)
        with row.trial(f"seed {seed}, {words[0]}, {ends}, {encoding}, {shape}"):
            folder = tmp_path / f"data{seed}"
            status, out, err = ended(words, ends, encoding, shape, folder)
            errors = [line for line in err.splitlines() if line.startswith("error: ")]
            assert "Traceback" not in err
            if ends["out"] in ("full", "closed", "hung up"):
                assert (status, len(errors)) == (1, 1), err
                assert errors[0].startswith("error: standard output cannot be written: ")
            else:
                assert (status, errors) == (0, []), err
            if ends["out"] in ("read", "terminal"):
                assert out.endswith("\n")
                assert not obeyed(out)


def test_a_message_is_drawn_whatever_it_quotes(tally, trials, script, tmp_path):
    row = tally("hostile texts in the messages of a command", "one line, nothing is obeyed")
    for seed in trials(fast=20, full=500):
        text = hostile(seed)[:1000]
        with row.trial(f"seed {seed}"):
            status, out, err = script("generate", f"run={RUNS / 'language_modeling'}", f"{text}=1")
            assert (status, out) == (1, "")
            assert err.startswith("error: ")
            assert err.count("\n") == 1
            assert not obeyed(err)
