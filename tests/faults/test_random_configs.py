"""Train random configs: it works, or it is refused in one line before anything is written."""

import json
import math
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from random_configs import LARGE, STEPS, draw_valid, spoil, words, write_corpora

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 20  # of a full campaign, run as commands
LIMIT = 300  # seconds
# Values of trainer.max_steps that are not numbers, or that end a run at once.
SHORT = {"", "true", "???", "[]", "[1,2]", "{a:1}", "zzz", "0x10", "${oc.env:NO}"}


@pytest.fixture(scope="module")
def corpora(text_file, tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("corpora"), text_file)


@pytest.fixture
def attempt(script, tmp_path):
    """Trains a config, in this process or in another, and checks what is left. Returns the status.

    A run that trains must end at its last step with a finite loss. One that does not must say why
    in one line and leave no folder, unless its loss was not finite.
    """

    def attempt(config, number, as_process=False):
        folder = tmp_path / f"run{number}"
        line = [*words(config), f"run.dir={folder}"]
        if as_process:
            done = subprocess.run(
                [sys.executable, ROOT / "scripts" / "train.py", *line],
                capture_output=True,
                text=True,
                check=False,
                timeout=LIMIT,
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        else:
            status, out, err = script("train", *line)
        if status == 128 + signal.SIGINT:  # pytest is stopped: the trial says nothing
            raise KeyboardInterrupt
        typed = shlex.join(["train.py", *words(config)])
        assert "Traceback" not in out + err, f"{typed}\n{err}"
        if status == 0:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            assert (summary["status"], summary["steps"]) == ("finished", STEPS), typed
            assert math.isfinite(summary["metrics"]["val/loss"]), typed
            return status, ""
        lines = [each for each in err.splitlines() if each.startswith("error: ")]
        assert (status, len(lines)) == (1, 1), f"{typed}\n{status} {err}"
        if folder.exists():
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            assert summary["status"] == "failed", typed
            assert "not finite" in lines[0], f"{typed}\n{lines[0]}"
        return status, f"{lines[0]}   {typed}"

    return attempt


def test_valid_configs_train(attempt, corpora, tally, trials):
    row = tally("random valid configs", "2 steps, or one line")
    refused = []
    for seed in trials(fast=4, full=200):
        # The last ones read whole packages.
        tasks = [LARGE[seed % len(LARGE)]] if seed >= 194 else None
        config = draw_valid(seed, corpora, tasks)
        with row.trial(f"seed {seed}: {shlex.join(words(config))}"):
            status, line = attempt(config, seed, as_process=seed >= 200 - PROCESSES)
            refused += [line] if status else []
    _report("valid", row.tried, refused)


def test_configs_with_an_invalid_value_are_one_line(attempt, corpora, tally, trials):
    row = tally("random configs with an invalid value", "2 steps, or one line and no folder")
    refused = []
    for seed in trials(fast=12, full=200):
        config, forbidden = spoil(seed, draw_valid(seed, corpora))
        with row.trial(f"seed {seed}: {shlex.join(words(config))}"):
            status, line = attempt(config, seed, as_process=seed >= 200 - PROCESSES)
            refused += [line] if status else []
            assert status == 1 or not forbidden, "it was trained"
    _report("invalid", row.tried, refused)


def test_no_run_is_drawn_that_does_not_end(corpora):
    """Such a run would be a failure of the campaign, and not of the code."""
    for seed in range(500):
        config, forbidden = spoil(seed, draw_valid(seed, corpora))
        if config["trainer.max_steps"] not in (STEPS, None):  # None is refused, without minutes
            assert forbidden or config["trainer.max_steps"] in SHORT, (seed, config)


def _report(kind, tried, refused):
    """Print which configs were refused, and why: `pytest -s` shows it."""
    print("\n".join([f"{len(refused)} of {tried} {kind} configs were refused:", *sorted(refused)]))
