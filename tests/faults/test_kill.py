"""Runs that are killed at random moments and resumed equal runs that nothing interrupted."""

import random
import signal

from forks import Fork, Moment
from forks import run as run_script
from run_files import summary
from stopping import assert_same_run
from variants import VARIANTS, command_to_go_on, uninterrupted

from minitx.runs.paths import finished

RESUMED = 3  # times, at most


def some_moment(draw, ended):
    """Return a moment of a run at which it is killed: at any time, or between two files."""
    if draw.random() < 0.5:
        return Moment((signal.SIGKILL,), seconds=draw.uniform(0, ended.seconds))
    return Moment((signal.SIGKILL,), change=draw.randint(1, len(ended.changes)))


def test_a_killed_run_resumes_exactly(tally, trials, tmp_path):
    row = tally(
        "SIGKILL at a random moment, up to 3 times; 3 objectives, averages, 2 processes",
        "bit-identical to the uninterrupted run",
    )
    variants, whole = list(VARIANTS), uninterrupted(tmp_path / "whole")
    for seed in trials(fast=3, full=20):
        draw, variant = random.Random(seed), variants[seed % len(variants)]
        with row.trial(f"seed {seed}, {variant}"):
            one, ended = whole(variant)
            other = tmp_path / f"run{seed}"
            for _ in range(draw.randint(1, RESUMED)):
                words = command_to_go_on(other, VARIANTS[variant])
                fork = Fork("train", *words, folder=tmp_path, moment=some_moment(draw, ended))
                killed = fork.wait()
                assert killed.status in (0, -signal.SIGKILL), killed.err
                assert fork.group_is_gone()  # also the process that Lightning has started
                if finished(other):  # a run may also be killed after its last file
                    break
            if not finished(other):
                words = command_to_go_on(other, VARIANTS[variant])
                ended = run_script("train", *words, folder=tmp_path)
                assert ended.status == 0, ended.err
            assert summary(other)["status"] == "finished"
            assert_same_run(one, other)
