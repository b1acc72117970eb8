"""Test a disk that is full at any moment: one line, whole files, and an exact continuation.

A small tmpfs is a real full disk, but only root can mount one. A limit on the size of files, which
everybody can set, fails every write from a chosen one on, in the middle of a file.
"""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from own_studies import MINE, write_study
from run_files import checkpoint, rows, summary
from stopping import assert_same_run

from minitx.runs.atomic_write import TEMPORARY, append_whole, write_atomically
from minitx.runs.growing_file import append, read_checked, write_whole
from minitx.study.measure import measuring
from minitx.study.measure.costs import latency_ms
from minitx.study.report import files

resource = pytest.importorskip("resource")

ROOM = "64m"  # of a tmpfs that is not full
PAGE = os.sysconf("SC_PAGE_SIZE")  # the unit in which a tmpfs is filled
LINE = re.compile(r"error: (?P<file>.+) cannot be written: (?P<why>[^;]+); (?P<advice>.+)")


class Disk:
    """A tmpfs of a few pages, which can be made larger."""

    def __init__(self, folder):
        self.folder = folder

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)

    def clear(self):
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def disk(tmp_path):
    """A mounted tmpfs, or skip the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a tmpfs")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Limit:
    """Lets every write below a folder fail from a chosen moment on, as on a full disk.

    An audit hook sees each file that is opened for writing. It cannot be removed, so one is used
    for all tests.
    """

    def __init__(self):
        self.folder, self.opened, self.moment, self.size = None, 0, 0, 0
        sys.addaudithook(self._audit)

    def _audit(self, event, arguments):
        if (
            self.folder is None
            or event != "open"
            or not isinstance(arguments[0], str | os.PathLike)
        ):
            return
        if arguments[2] & (os.O_WRONLY | os.O_RDWR) and str(arguments[0]).startswith(self.folder):
            self.opened += 1
            if self.opened == self.moment:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.hard))

    @contextlib.contextmanager
    def after(self, moment, size, folder):
        """From file number `moment` on, no file below the folder becomes larger than `size`."""
        soft, self.hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.folder, self.opened, self.moment, self.size = str(folder), 0, moment, size
        try:
            yield self
        finally:
            self.folder = None
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, self.hard))


@pytest.fixture(scope="session")
def limit():
    return Limit()


@pytest.fixture
def words(tiny):
    return [*tiny, "trainer.average=2", "trainer.average_of=last"]


@pytest.fixture
def whole(script, words, tmp_path):
    """The folder of the run that is never interrupted."""
    folder = tmp_path / "whole"
    assert script("train", *words, f"run.dir={folder}").status == 0
    return folder


def size_of(folder):
    """Return the pages that the files of a folder take."""
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // PAGE) for size in files)


def told(answer, folder):
    """Check that a command failed with one line about a file in a folder. Return the advice."""
    assert answer.status == 1, answer
    assert "Traceback" not in answer.err
    found = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(found) == 1, answer.err
    line = LINE.fullmatch(found[0])
    assert line, found
    assert line["why"] in ("No space left on device", "File too large")
    assert Path(line["file"]).is_relative_to(folder), line["file"]
    return line["advice"]


def assert_whole_files(folder):
    """Nothing half-written: no temporary files, checkpoints that open, and rows of metrics."""
    assert not [path for path in folder.rglob("*") if path.name.endswith((TEMPORARY, ".building"))]
    for file in folder.rglob("*.ckpt"):
        assert checkpoint(folder, file.stem)["global_step"] in (5, 10)
    if (folder / "metrics.csv").exists():
        steps = list(rows(folder))
        assert steps == list(range(1, len(steps) + 1))
    if (folder / "summary.json").exists():
        assert summary(folder)["status"] in ("running", "failed")


def continued(script, words, folder, advice):
    """Do what the advice says."""
    if advice == "free some space, or choose another place with run.dir=":
        assert not folder.exists()
        return script("train", *words, f"run.dir={folder}")
    assert advice.startswith("free some space, then go on: ")
    assert advice.endswith(f"resume={folder}")
    return script("train", f"resume={folder}")


def check_run(script, words, folder, whole, answer, full):
    """Check a run that met a full disk, and continue it when the disk is no longer full."""
    if answer.status == 0:  # only a sample found no room
        assert answer.err.count("is left out: ") == 1
        (folder / "samples.txt").write_bytes((whole / "samples.txt").read_bytes())
    else:
        advice = told(answer, folder)
        if folder.exists():
            assert_whole_files(folder)
        full()
        answer = continued(script, words, folder, advice)
        assert answer.status == 0, answer.err
    assert_same_run(folder, whole)


def test_a_run_on_a_small_disk(disk, script, words, whole, tally, trials):
    row = tally("disk full while a run writes (tmpfs)", "one line, whole files, exact resume")
    number = len(trials(fast=2, full=20))
    last = size_of(whole) + 1
    for trial in range(number):
        pages = 2 + round(trial * (last - 2) / number)
        with row.trial(f"{pages} pages"):
            disk.clear()
            disk.resize(pages * PAGE)
            folder = disk.folder / "run"
            answer = script("train", *words, f"run.dir={folder}")
            check_run(script, words, folder, whole, answer, lambda: disk.resize(ROOM))


def test_a_run_whose_files_cannot_grow(limit, script, words, whole, tally, trials, tmp_path):
    row = tally(
        "every write of a run fails from some file on", "one line, whole files, exact resume"
    )
    number = len(trials(fast=2, full=20))
    with limit.after(0, 0, tmp_path / "counted") as counted:
        script("train", *words, f"run.dir={tmp_path / 'counted'}")
    for trial in range(number):
        moment = 1 + round(trial * (counted.opened - 1) / number)
        with row.trial(f"file {moment}"):
            folder = tmp_path / f"run{trial}"
            # With more room, a larger file is cut off; the last files may all be smaller.
            for size in (random.Random(trial).choice([10, 300, 1000, 3000, 20_000]), 0):
                shutil.rmtree(folder, ignore_errors=True)
                with limit.after(moment, size, folder):
                    answer = script("train", *words, f"run.dir={folder}")
                if answer.status != 0:
                    break
            check_run(script, words, folder, whole, answer, lambda: None)


def test_a_run_that_cannot_be_continued_yet_stays_as_it_is(limit, script, words, whole):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    longer = ["train", f"resume={whole}", "trainer.max_steps=15"]
    with limit.after(1, 0, whole):
        advice = told(script(*longer), whole)
    assert advice == "try again when it can be"
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    assert script(*longer).status == 0
    assert list(rows(whole)) == list(range(1, 16))


@pytest.mark.parametrize("task", ["text", "pairs"])
def test_a_cache_on_a_small_disk(task, disk, script, tiny, tally, trials, tmp_path):
    fault = f"disk full while the cache of task={task} is written (tmpfs)"
    row = tally(fault, "one line, nothing left, same run")
    name, lines = ("corpus.txt", 10_000) if task == "text" else ("corpus.tsv", 1_000)
    corpus = tmp_path / name
    corpus.write_text("".join(f"{n:05} a\t{n % 7:03} b\n" for n in range(lines)))
    sizes = ["data.batch_size=null", "data.batch_tokens=256"] if task == "pairs" else []
    words = [*tiny, f"task={task}", f"data.path={corpus}", *sizes]
    elsewhere = tmp_path / "cache"
    ended = script("train", *words, f"run.dir={tmp_path / 'whole'}", f"data.cache_dir={elsewhere}")
    assert ended.status == 0
    cache = disk.folder / "cache"
    words.append(f"data.cache_dir={cache}")
    number, last = len(trials(fast=1, full=20)), size_of(elsewhere)
    for trial in range(number):
        pages = 1 + round(trial * (last - 2) / number)
        with row.trial(f"{task}, {pages} pages"):
            disk.clear()
            disk.resize(pages * PAGE)
            folder = tmp_path / f"{task}{trial}"
            answer = script("train", *words, f"run.dir={folder}")
            assert answer.status == 1
            found = [line for line in answer.err.splitlines() if line.startswith("error: ")]
            assert len(found) == 1, answer.err
            assert re.fullmatch(
                rf"error: cannot write {cache} \((No space left on device|the disk is full)\): "
                "give another folder with data.cache_dir=DIR or MINITX_CACHE",
                found[0],
            )
            assert "Traceback" not in answer.err
            assert not [path for path in cache.rglob("*") if path.suffix != ".lock"]
            assert not folder.exists()
            disk.resize(ROOM)
            if trial + 1 == number:  # the run maps the cache, which cannot be cleared then
                assert script("train", *words, f"run.dir={folder}").status == 0
                assert rows(folder) == rows(tmp_path / "whole")


@pytest.fixture
def study(script, tiny, tmp_path, monkeypatch):
    """A function that runs a study of one small run, whose files are below a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "latency_ms", partial(latency_ms, seconds=0.0))
    monkeypatch.setattr(files, "png", lambda figure: bytes(2 * PAGE))  # nobody looks at them
    monkeypatch.setattr(files, "svg", lambda figure: f"<svg>{' ' * PAGE}</svg>")
    write_study(arms={"transformer": ["model=transformer"]})

    def study(folder, *more):
        words = [*tiny, f"study.dir={folder / 'study'}", f"study.runs={folder / 'runs'}"]
        return script("compare", *MINE, *words, *more)

    return study


def figures(folder):
    """Return the losses in a study's table of runs."""
    header, *lines = (folder / "study" / "runs.csv").read_text(encoding="utf-8").splitlines()
    column = header.split(",").index("test/loss")
    return [line.split(",")[column] for line in lines]


def test_a_study_on_a_small_disk(disk, study, tally, trials, tmp_path):
    row = tally("disk full during a study and its report (tmpfs)", "one line, same figures later")
    (tmp_path / "whole").mkdir()
    assert study(tmp_path / "whole").status == 0
    number, last = len(trials(fast=1, full=20)), size_of(tmp_path / "whole")
    for trial in range(number):
        pages = 4 + round((trial + 0.5) * (last - 4) / number)
        with row.trial(f"{pages} pages"):
            disk.clear()
            disk.resize(pages * PAGE)
            answer = study(disk.folder)
            advice = told(answer, disk.folder)
            assert advice.startswith("free some space, then go on: ")
            assert "compare" in advice
            assert not list(disk.folder.rglob(f"*{TEMPORARY}"))
            disk.resize(ROOM)
            answer = study(disk.folder)
            assert answer.status == 0, answer.err
            assert figures(disk.folder) == figures(tmp_path / "whole")
            assert not list(disk.folder.rglob("*.failed.json"))


@pytest.mark.parametrize("size", [0, 5, 11])
def test_a_table_is_whole_although_its_checksum_is_not(size, limit, tmp_path):
    path = tmp_path / "metrics.csv"
    write_whole(path, "step\r\n")
    append(path, "1\r\n")
    with limit.after(2, size, tmp_path), pytest.raises(OSError, match="crc32 cannot be written"):
        append(path, "2\r\n")  # the second file that it opens for writing has the checksum
    assert read_checked(path) == b"step\r\n1\r\n2\r\n"
    append(path, "3\r\n")
    assert read_checked(path) == b"step\r\n1\r\n2\r\n3\r\n"


@pytest.mark.parametrize("size", [0, 5, 11])
def test_a_file_is_whole_or_as_before(size, limit, tmp_path):
    """What is added to a file, or replaces it, is never there in part."""
    path = tmp_path / "file"
    path.write_text("before\n")
    for write in (append_whole, write_atomically):
        with limit.after(1, size, tmp_path), pytest.raises(OSError, match="cannot be written"):
            write(path, "0123456789ab")
        assert path.read_text() == "before\n"
        assert os.listdir(tmp_path) == ["file"]
    append_whole(path, "after\n")
    assert path.read_text() == "before\nafter\n"
