"""Runs that are asked to stop at random moments end cleanly and go on exactly."""

import os
import random
import re
import signal
import subprocess
import sys

from forks import LIMIT, SCRIPTS, Ended, Fork, Moment
from forks import run as run_script
from run_files import checkpoint, summary
from stopping import assert_same_run
from variants import VARIANTS, command_to_go_on, uninterrupted

CTRL_C, SIGTERM, SIGHUP = (signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,)
ASKED = [CTRL_C, SIGTERM, CTRL_C * 2, SIGHUP]


def some_moment(draw, signals, ended):
    """Return a moment of a run: at any time, or while it writes a file."""
    if draw.random() < 0.5:
        return Moment(signals, seconds=draw.uniform(0, ended.seconds))
    return Moment(signals, change=draw.randint(1, len(ended.changes)))


def errors(ended):
    return [line for line in ended.err.splitlines() if line.startswith("error: ")]


def check_clean(ended, asked, folder):
    """Assert that a stopped process said what to do next, or nothing, and left whole files."""
    assert "Traceback" not in ended.err, ended.err
    assert "Exception ignored" not in ended.err, ended.err
    if ended.status == 1:  # a run was stopped
        (line,) = errors(ended)
        assert re.fullmatch(
            rf"error: stopped .*: python \S+train\.py resume={folder.name}", line
        ), line
        assert summary(folder)["status"] == "interrupted"
        if "nothing is lost" in line:
            step = int(re.search(r"at step (\d+)", line)[1])
            assert checkpoint(folder, "last")["global_step"] == step
        assert not list(folder.rglob(".*"))
    else:  # it had ended, or a signal ended it before there was a run or after it
        assert ended.status in (0, 128 + signal.SIGINT, *(-number for number in asked))
        assert errors(ended) == []


def test_a_run_that_is_asked_to_stop_ends_cleanly_and_resumes_exactly(tally, trials, tmp_path):
    row = tally("Ctrl-C, SIGTERM, Ctrl-C twice or SIGHUP at a random moment", "clean, exact")
    variants, whole = list(VARIANTS), uninterrupted(tmp_path / "whole")
    for seed in trials(fast=2, full=20):
        draw, asked, variant = random.Random(seed), ASKED[seed % 4], variants[seed // 4]
        with row.trial(f"seed {seed}, {asked}, {variant}"):
            one, ended = whole(variant)
            other = tmp_path / f"run{seed}"
            words = command_to_go_on(other, VARIANTS[variant])
            moment = some_moment(draw, asked, ended)
            fork = Fork("train", *words, folder=tmp_path, moment=moment)
            stopped = fork.wait()
            check_clean(stopped, asked, other)
            assert fork.group_is_gone()
            if stopped.status != 0:
                words = command_to_go_on(other, VARIANTS[variant])
                ended = run_script("train", *words, folder=tmp_path)
                # It may have finished before the signal came.
                assert ended.status == 0 or "has finished its" in ended.err, ended.err
            assert summary(other)["status"] == "finished"
            assert_same_run(one, other)


def start_and_stop(number, imports, words, folder):
    """Start a script as a shell does, and send it a signal when it has imported some modules.

    Return how it ended.
    """
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", SCRIPTS / "train.py", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    said, imported, ours = [], 0, False
    for line in process.stderr:
        if not line.startswith("import time:"):
            said.append(line)
            continue
        ours |= line.rpartition("|")[2].strip() == "minitx.commands.start"
        imported += ours  # before, Python itself starts
        if imported == imports:
            os.kill(process.pid, number)
    status = process.wait(LIMIT)
    return Ended(status, process.stdout.read(), "".join(said))


def test_a_command_that_is_stopped_while_it_starts_ends_cleanly(tally, trials, tmp_path):
    """Hydra, torch and Lightning import more than 3,000 modules before anything is written."""
    row = tally("Ctrl-C or SIGTERM while a command imports its modules", "clean")
    for seed in trials(fast=1, full=20):
        draw, (number,) = random.Random(seed), (CTRL_C, SIGTERM)[seed % 2]
        with row.trial(f"seed {seed}, {number!r}"):
            folder = tmp_path / f"run{seed}"
            words = command_to_go_on(folder, VARIANTS["language modelling"])
            ended = start_and_stop(number, draw.randint(1, 2500), words, tmp_path)
            check_clean(ended, (number,), folder)
            assert ended.status in (128 + signal.SIGINT, -signal.SIGTERM)
            assert ended.out == ""
            assert not folder.exists()
