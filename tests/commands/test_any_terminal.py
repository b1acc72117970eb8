"""Test commands on any terminal: other encodings and widths, readers that go away, hostile text."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked import WARM

import minitx
from minitx.commands.console import show_run, show_runs, stream
from minitx.commands.predict import table

ROOT = Path(__file__).parents[2]
OLD_RUNS = ROOT / "tests" / "old_runs"
NAME = "[old] x[/b] $a_ :smile: \x1b]0;title\x07"  # of a folder
SHOWN = r"[old] x[/b] $a_ :smile: \x1b]0;title\x07"
NEEDS_FULL = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a device that is always full"
)
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "ignore"}


class Terminal(io.StringIO):
    """A terminal, as far as a command asks."""

    def isatty(self):
        return True


def words(*command):
    return [str(ROOT / "scripts" / f"{command[0]}.py"), *map(str, command[1:])]


def process(*command, closed="", **how):
    """Run a script in a process of its own. `closed` are redirections of the shell, as in >&-."""
    script = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *words(*command)]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    how["env"] = os.environ | how.get("env", {})
    return subprocess.run(script, check=False, timeout=300, **how)


@pytest.fixture
def nobody():
    """The number of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def old_run(tmp_path):
    """A run whose folder has a hostile name and whose sample has hostile text."""
    folder = tmp_path / NAME
    shutil.copytree(OLD_RUNS / "language_modeling", folder)
    sample = "--- step 4 ---\n漢字 [b]\x1b[2J\x07\u202e[/b]\n\n"
    (folder / "samples.txt").write_text(sample, encoding="utf-8")
    return folder


def test_a_finished_run_is_shown_as_text(old_run, capsys):
    show_run(minitx.load(old_run))
    out = capsys.readouterr().out
    assert out.count(f"{SHOWN}'") == 3  # in the commands to type next
    assert f"{SHOWN}. Next:\n" in out
    assert "\n漢字 [b]\\x1b[2J\\x07\\u202e[/b]\n" in out
    assert "\x1b" not in out


def test_runs_of_a_multirun_are_shown_as_text(old_run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    show_runs([(old_run, ["run.dir=[b]\x1b[31m"]), (old_run, ["data.path=:smile:"])])
    out = capsys.readouterr().out
    assert "run.dir=[b]\\x1b[31m" in out
    assert "data.path=:smile:" in out
    assert out.count(SHOWN) == 2
    summary = json.loads((old_run / "summary.json").read_text(encoding="utf-8"))
    assert out.count(f"{summary['parameters']:,}") == 2


def test_evaluate_and_inspect_name_a_run_as_it_is(old_run, script):
    evaluated = script("evaluate", f"run={old_run}", f"data.path={OLD_RUNS / 'play.txt'}")
    assert evaluated.status == 0, evaluated.err
    assert f"{SHOWN}/checkpoints/best.ckpt, " in evaluated.out
    inspected = script("inspect_attention", f"run={old_run}", "text=to be")
    assert inspected.status == 0, inspected.err
    assert f"{SHOWN}/attention.html\n" in inspected.out
    assert "\x1b" not in evaluated.out + evaluated.err + inspected.out + inspected.err


@pytest.mark.parametrize(
    "arguments",
    [
        [f"run={NAME}"],
        [f"run={OLD_RUNS / 'language_modeling'}", f"prompt={NAME}\n"],
        [f"{NAME}=1"],
        [f"device={NAME}\nx"],
        [f"--{NAME}"],
        [f"--config-dir={NAME}"],
        [f"hydra/launcher={NAME}"],
        ["length=\x1b[31m[/b]"],
    ],
)
def test_an_error_quotes_text_in_one_line(arguments, script):
    answer = script("generate", *arguments)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("error: ")
    assert "\x1b" not in answer.err
    assert "\x07" not in answer.err


def test_a_config_is_shown_as_text_on_a_terminal(script, monkeypatch):
    command = ["train", "task=text", "data.path=\u202ea.txt", "--cfg", "job"]
    assert "  path: \u202ea.txt\n" in script(*command).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "  path: \\u202ea.txt\n" in script(*command).out


def test_labels_are_a_column_whatever_their_width():
    lines = table({"[b]ok": 0.5, "漢字": 0.25, "e\u0301\x1b[31m\n": 0.25}).splitlines()
    assert lines == [
        "[b]ok" + " " * 6 + "   50.00%",
        "漢字" + " " * 7 + "   25.00%",
        "e\u0301" + r"\x1b[31m\n" + "   25.00%",
    ]


def test_generated_text_is_printable_on_a_terminal_and_exact_elsewhere(monkeypatch, capsys):
    pieces = ["to\x1b[31m", "be\x07", "漢\r\n"]
    stream(iter([iter(pieces)]), samples=1)
    assert capsys.readouterr().out == "to\x1b[31mbe\x07漢\r\n\n"
    monkeypatch.setattr(sys, "stdout", Terminal())
    stream(iter([iter(pieces)]), samples=1)
    assert sys.stdout.getvalue() == "to\\x1b[31mbe\\x07漢\\r\n\n"


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (["compare", "--help"], {}),
        (["train", "-sc", "query=bash"], {"COMP_LINE": "python scripts/train.py model="}),
        (["train", "--cfg", "job"], ASCII),
    ],
)
def test_a_page_needs_no_reader(command, environment, nobody):
    answer = process(*command, stdout=nobody, env=environment)
    assert (answer.returncode, answer.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        pytest.param(">/dev/full", "No space left on device", marks=NEEDS_FULL),
        (">&-", "it is closed"),
    ],
)
def test_a_page_that_cannot_be_written_is_an_error(closed, why):
    answer = process("train", "--version", closed=closed)
    assert answer.returncode == 1
    assert answer.stderr.decode() == f"error: standard output cannot be written: {why}\n"


def test_a_run_finishes_without_a_reader(tiny, nobody, tmp_path):
    """Neither characters that ASCII lacks nor a reader that is gone end a run."""
    folder = tmp_path / "漢 é"
    command = ["train", *tiny, "trainer.max_steps=2", f"run.dir={folder}"]
    answer = process(*command, stdout=nobody, env=ASCII)
    assert answer.returncode == 0, answer.stderr
    assert json.loads((folder / "summary.json").read_text("utf-8"))["status"] == "finished"
    assert b"training 100%" in answer.stderr


def test_a_run_finishes_without_any_stream(tiny, tmp_path):
    folder = tmp_path / "run"
    command = ["train", *tiny, "trainer.max_steps=2", f"run.dir={folder}"]
    answer = process(*command, closed="<&- >&- 2>&-", env=ASCII)
    assert answer.returncode == 0
    assert json.loads((folder / "summary.json").read_text("utf-8"))["status"] == "finished"
    minitx.load(folder)


def test_translations_end_quietly_with_their_reader(tmp_path):
    """As in `minitx translate ... | head -1`, which is not an error."""
    run = OLD_RUNS / "sequence_to_sequence"
    sources = tmp_path / "sources.txt"
    sources.write_text("7 4 2 5\n" * 3_000, encoding="utf-8")
    with (
        sources.open("rb") as lines,
        subprocess.Popen(
            [sys.executable, *words("translate", f"run={run}")],
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | ASCII,
        ) as running,
    ):
        assert running.stdout.readline().endswith(b"\n")
        running.stdout.close()
        err = running.stderr.read()
        assert running.wait(300) == 0
    assert b"Traceback" not in err
    assert b"error" not in err


def on_a_terminal(*command, **environment):
    """Run a script on a terminal of its own; give its status and all that the terminal got."""
    screen, terminal = pty.openpty()
    running = WARM.start(*words(*command), streams=[terminal] * 3, env=environment)
    os.close(terminal)
    got = b""
    while True:
        try:
            piece = os.read(screen, 65536)
        except OSError:  # Linux reports the end like this
            break
        if not piece:
            break
        got += piece
    os.close(screen)
    return running.wait(), got.decode()


def test_a_narrow_terminal_gets_everything_and_no_control(tiny, tmp_path):
    text = tmp_path / "play.txt"
    text.write_text("to be\x1b]0;title\x07 or \x1b[31mnot\x07 to be\n" * 600, encoding="utf-8")
    folder = tmp_path / NAME
    command = ["train", *tiny, f"data.path={text}", "trainer.max_steps=2", f"run.dir={folder}"]
    how = {"TERM": "xterm", "COLUMNS": "20", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    status, got = on_a_terminal(*command, **how)
    assert status == 0, got
    assert "\x07" not in got
    assert "\x1b]" not in got
    assert "\x1b[31m" not in got
    assert got.count(SHOWN) == 4
    metrics = json.loads((folder / "summary.json").read_text("utf-8"))["metrics"]
    assert f"{metrics['val/loss']:.4f}" in got
