"""Test that long work is announced, whether or not it can tell how far it is."""

import threading
import time

import pytest

from minitx.data import progress as module
from minitx.data.corpora.records import count_lines
from minitx.data.progress import announced, progress

DEADLINE = 60  # seconds to wait for a line; far more than a busy machine takes


@pytest.fixture
def impatient(monkeypatch):
    """Shows progress at once and often."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(module, "LINE_SECONDS", 0.01)


@pytest.fixture
def wait_for(capsys):
    """Waits until a line is shown on standard error."""
    shown = ""

    def wait_for(line):
        nonlocal shown
        end = time.monotonic() + DEADLINE
        while line not in shown and time.monotonic() < end:
            time.sleep(0.005)
            shown += capsys.readouterr().err
        assert line in shown

    return wait_for


@pytest.mark.usefixtures("impatient")
def test_progress_is_shown_while_an_item_is_being_worked_on(wait_for):
    with progress() as watch:
        for item in watch("translating", [30, 70], 100, lambda item: item):
            wait_for("translating: 0%" if item == 30 else "translating: 30%")


@pytest.mark.usefixtures("impatient")
def test_progress_is_shown_after_the_last_item(wait_for):
    # As in the training of a tokenizer, which merges pieces after it has read everything.
    with progress() as watch:
        list(watch("learning tokens", "ab", 2, len))
        wait_for("learning tokens: 100%")


@pytest.mark.usefixtures("impatient")
def test_work_of_unknown_length_is_named(wait_for):
    with announced("reading runs/[old] x.txt"):
        wait_for("reading runs/[old] x.txt ...\n")


def test_short_work_shows_nothing(capsys, tmp_path):
    (tmp_path / "x.txt").write_text("a\nb\n")
    assert count_lines(tmp_path / "x.txt") == 2
    with announced("reading"), progress() as watch:
        assert list(watch("counting", [1, 2], 2, int)) == [1, 2]
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
def test_a_part_of_other_work_is_not_announced(wait_for, capsys):
    with progress() as watch:
        for _ in watch("answering", [1], 1, int):
            with announced("translating"):
                time.sleep(0.1)
            wait_for("answering: 0%")
    assert "translating" not in capsys.readouterr().err
    with announced("reading"):
        wait_for("reading ...")


def test_an_error_ends_the_announcement():
    threads = threading.active_count()

    def fail():
        with announced("reading"):
            assert threading.active_count() == threads + 1
            raise RuntimeError("as it was")

    with pytest.raises(RuntimeError, match="as it was"):
        fail()
    assert threading.active_count() == threads
