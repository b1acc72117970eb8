"""Test inputs that can be read only once, and outputs that are no files: pipes and devices."""

import gzip
import io
import json
import os
import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_bad_input import refuses

import minitx
from minitx.commands import text_io

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "old_runs"
RUNS = {"translate": OLD / "sequence_to_sequence", "predict": OLD / "classification"}
LINES = {
    "translate": ["1 7", "2 0 5", "4", "9 9", "3 1 2"],
    "predict": ["the old saw", "a pear", "here is a cat", "apple", "dog"],
}
COMMANDS = sorted(RUNS)


@contextmanager
def source(data):
    """A pipe that holds this, as the shell names it in <(...)."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    yield f"/dev/fd/{reading}"
    os.close(reading)


@contextmanager
def sink():
    """A pipe to write to, and a list that gets what was written when the block has ended."""
    reading, writing = os.pipe()
    written = []
    with open(reading, encoding="utf-8") as file:
        reader = threading.Thread(target=lambda: written.append(file.read()))
        reader.start()
        yield f"/dev/fd/{writing}", written
        os.close(writing)
        reader.join()


def text(lines):
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(params=COMMANDS)
def command(request, script, tmp_path):
    """A command, its texts, and the output that it writes into a file for a file of them."""
    name, lines = request.param, LINES[request.param]

    def run(*words):
        return script(name, f"run={RUNS[name]}", *words)

    (tmp_path / "in.txt").write_text(text(lines), encoding="utf-8")
    assert run(f"input={tmp_path / 'in.txt'}", f"output={tmp_path / 'whole.txt'}").status == 0
    expected = (tmp_path / "whole.txt").read_text(encoding="utf-8")
    assert len(expected.splitlines()) == len(lines)
    return run, lines, expected


@pytest.mark.parametrize("chunk", [2, 500])
def test_the_lines_of_a_pipe_are_answered(command, chunk, monkeypatch):
    monkeypatch.setattr(text_io, "CHUNK", chunk)
    run, lines, expected = command
    with source(text(lines).encode()) as pipe, sink() as (output, written):
        answer = run(f"input={pipe}", f"output={output}")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    # A batch of another shape adds up in another order: compare probabilities with a tolerance.
    for one, other in zip(written[0].splitlines(), expected.splitlines(), strict=True):
        assert one == other or json.loads(one)["label"] == json.loads(other)["label"]


def test_the_lines_of_a_named_pipe_are_answered(command, tmp_path):
    """More of them than a pipe holds at a time."""
    run, lines, expected = command
    os.mkfifo(tmp_path / "fifo")
    several = [f"{line}{' ' * 30_000}" for line in lines]
    thread = threading.Thread(target=(tmp_path / "fifo").write_text, args=(text(several),))
    thread.start()
    answer = run(f"input={tmp_path / 'fifo'}", f"output={tmp_path / 'out.txt'}")
    thread.join()
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0"])
def test_standard_input_may_be_named(name, command, monkeypatch):
    run, lines, expected = command
    stdin = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + text(lines).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    with sink() as (output, written):
        assert run(f"input={name}", f"output={output}").status == 0
    assert written == [expected]


def test_a_bad_line_of_a_pipe_ends_the_output_after_the_lines_before_it(command, tmp_path):
    run, lines, _ = command
    for bad, said in ((b"", "the text is empty"), (b"caf\xe9", "not UTF-8")):
        data = text(lines[:2]).encode() + bad + b"\n" + text(lines).encode()
        output = tmp_path / f"{said}.txt"
        with source(data) as pipe:
            answer = run(f"input={pipe}", f"output={output}")
        assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)
        for part in ("error: ", pipe, "line 3", said, f"what came before it is in {output}"):
            assert part in answer.err
        assert len(output.read_text(encoding="utf-8").splitlines()) == 2


def test_a_closed_standard_input_is_an_error(command, tmp_path, monkeypatch):
    """As in `minitx translate ... <&-`."""
    run, *_ = command
    monkeypatch.setattr(sys, "stdin", None)
    answer = run(f"output={tmp_path / 'out.txt'}")
    assert (answer.status, answer.out) == (1, "")
    assert "error: standard input is empty" in answer.err
    assert not (tmp_path / "out.txt").exists()


def test_an_empty_pipe_is_an_error(command, tmp_path):
    run, *_ = command
    with source(b"") as pipe:
        answer = run(f"input={pipe}", f"output={tmp_path / 'out.txt'}")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == f'error: {pipe} is empty: set text="..." or input=file, or pipe lines in\n'
    assert not (tmp_path / "out.txt").exists()


def test_an_open_file_is_continued(command, tmp_path):
    """What the shell has written into it before is kept: `(date; minitx ...) > file`."""
    run, _, expected = command
    with (tmp_path / "log.txt").open("w", encoding="utf-8") as file:
        file.write("monday\n")
        file.flush()
        words = [f"input={tmp_path / 'in.txt'}", f"output=/dev/fd/{file.fileno()}"]
        assert run(*words).status == 0
        file.write("tuesday\n")  # it is still open
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == f"monday\n{expected}tuesday\n"


def test_a_named_pipe_is_written_to(command, tmp_path):
    run, _, expected = command
    os.mkfifo(tmp_path / "fifo")
    got = []
    read = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_text("utf-8")))
    read.start()
    answer = run(f"input={tmp_path / 'in.txt'}", f"output={tmp_path / 'fifo'}")
    read.join()
    assert (answer.status, answer.err) == (0, "")
    assert got == [expected]
    assert (tmp_path / "fifo").is_fifo()


def test_devices_are_written_to(command, tmp_path):
    run, *_ = command
    answer = run(f"input={tmp_path / 'in.txt'}", "output=/dev/null")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert Path("/dev/null").is_char_device()
    for device, said in (("/dev/full", "No space left on device"), ("/dev/fd/987", "Bad file")):
        answer = run(f"input={tmp_path / 'in.txt'}", f"output={device}")
        assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)
        assert answer.err.startswith(f"error: output={device} cannot be written: {said}")


@pytest.mark.parametrize("format", ["text", "html", "markdown"])
def test_a_page_goes_to_a_stream(format, script):
    with sink() as (output, written):
        answer = script("explain", f"format={format}", f"output={output}")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert written == [script("explain", f"format={format}").out]
    answer = script("explain", "output=/dev/full")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == "error: output=/dev/full cannot be written: No space left on device\n"


def test_a_shell_may_connect_both(tmp_path):
    """As in the issue: a process that gets a pipe, and writes to standard output."""
    line = (
        f"'{sys.executable}' '{ROOT / 'scripts' / 'translate.py'}' run='{RUNS['translate']}' "
        "input=<(printf '1 7\\n2 0 5\\n') output=/dev/stdout"
    )
    (tmp_path / "out.txt").write_text("monday\n", encoding="utf-8")
    answer = subprocess.run(
        ["bash", "-c", f"(echo tuesday; {line}) >> '{tmp_path}/out.txt'"],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    lines = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["monday", "tuesday"]
    assert lines[2:] == minitx.load(RUNS["translate"]).translate(["1 7", "2 0 5"])
    assert "error" not in answer.stderr


def test_a_corpus_cannot_be_a_pipe(script, tiny, tmp_path, monkeypatch):
    """It is read several times, and again to resume: the error comes before anything is read."""
    monkeypatch.chdir(tmp_path)
    kinds = {"text": b"to be\n", "pairs": b"a\tb\n", "labels": b"a\tb\n"}
    os.mkfifo(tmp_path / "named.tsv")
    for task, data in kinds.items():
        with source(1000 * data) as pipe:
            for path, full in ((pipe, pipe), ("named.tsv", "HERE/named.tsv"), 2 * ("/dev/stdin",)):
                words = [*tiny, f"task={task}", f"data.path={path}"]
                parts = [f"data.path={full} can be read only once", "write it to a file"]
                refuses(script, tmp_path, "train", words, parts)
            assert os.read(int(pipe.rpartition("/")[2]), 10_000) == 1000 * data
    words = [*tiny, "task=pairs", f"data.path={OLD / 'pairs.tsv'}", "data.target_path=named.tsv"]
    refuses(
        script, tmp_path, "train", words, ["data.target_path=HERE/named.tsv can be read only once"]
    )
    for command, run in (("evaluate", "classification"), ("head_importance", "language_modeling")):
        words = [f"run={OLD / run}", "data.path=named.tsv"]
        refuses(
            script, tmp_path, command, words, ["data.path=HERE/named.tsv can be read only once"]
        )


def test_a_run_on_a_packed_text_is_the_run_on_the_text(train, text_file, tmp_path):
    packed = tmp_path / "PLAY.TXT.GZ"
    packed.write_bytes(gzip.compress(text_file.read_bytes()))
    runs = [
        train(
            f"data.path={path}",
            f"run.dir={tmp_path / f'run of {path.name}'}",
            "trainer.max_steps=5",
        )
        for path in (text_file, packed)
    ]
    losses = [(run.folder / "summary.json").read_text(encoding="utf-8") for run in runs]
    one, other = (json.loads(loss) for loss in losses)
    assert one["metrics"] == other["metrics"]
    assert one["data_fingerprint"] == other["data_fingerprint"]
    evaluation = runs[1].evaluate("val", path=str(text_file))  # it may be unpacked later
    assert evaluation.metrics["loss"] == pytest.approx(other["metrics"]["val/loss"], rel=1e-4)


@pytest.mark.parametrize("task", ["text", "pairs", "labels"])
def test_a_damaged_packed_corpus_is_an_error(task, script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = {"text": "play.txt.gz", "pairs": "play.tsv.gz", "labels": "play.jsonl.gz"}[task]
    whole = gzip.compress(b"\xff\n" + random.Random(0).randbytes(3000))  # its start is not UTF-8
    for data in (b"to be\n", whole[:9], whole[:-3000]):
        Path(name).write_bytes(data)
        words = [*tiny, f"task={task}", f"data.path={name}"]
        refuses(script, tmp_path, "train", words, [f"cannot read HERE/{name} ("])
