"""Processes that share a cache or the runs of studies do not disturb each other."""

import pandas as pd
from forks import Fork
from own_studies import MINE, write_study
from stopping import assert_same_run
from variants import TEXT, VARIANTS

PROCESSES = 4
RUNS = 2 * (2 + 2)  # of each arm: two rates of the sweep, and the better one with two new seeds


def together(*forks):
    """Wait for processes that run at the same time. Raises AssertionError if one fails."""
    try:
        ended = [fork.wait() for fork in forks]
    finally:
        for fork in forks:
            fork.end()
    for each in ended:
        assert each.status == 0, each.err
        assert "Traceback" not in each.err
    return ended


def test_processes_fill_one_cache_once(tally, trials, tmp_path):
    row = tally(f"{PROCESSES} processes on one empty cache", "filled once, equal runs")
    for number, variant in zip(trials(fast=1, full=4), VARIANTS, strict=False):
        with row.trial(variant):
            place = tmp_path / f"trial{number}"
            words = [*VARIANTS[variant], f"data.cache_dir={place / 'cache'}"]
            ended = together(
                *(
                    Fork("train", f"run.dir=run{process}", *words, folder=place)
                    for process in range(PROCESSES)
                )
            )
            filled = [
                path
                for each in ended
                for event, path in each.changes
                if event == "os.rename" and path.endswith(".building")
            ]
            assert len(filled) == 1
            folders = [path for path in (place / "cache").iterdir() if path.is_dir()]
            assert [f"{path}.building" for path in folders] == filled
            for process in range(1, PROCESSES):
                assert_same_run(place / "run0", place / f"run{process}")


def test_studies_share_their_runs(tally, trials, tmp_path):
    row = tally(f"{PROCESSES} studies on one folder of runs", "each run trained once")
    for number in trials(fast=1, full=4):
        with row.trial(f"trial {number}"):
            place = tmp_path / f"trial{number}"
            sweep, quick = {"optimizer.lr": [0.001, 0.01]}, {"seeds": [1, 2]}
            write_study(place, sweep=sweep, quick=quick)
            # The study sets the learning rate and draws no maps.
            words = [word for word in TEXT if not word.startswith(("trainer.watch", "decoding."))]
            together(
                *(
                    Fork(
                        *("compare", *MINE, *words),
                        *(f"study.dir=study{process}", "study.runs=runs"),
                        folder=place,
                    )
                    for process in range(PROCESSES)
                )
            )
            logs = sorted((place / "runs").glob("*.log"))
            assert len(logs) == RUNS
            begun = [log.read_text(encoding="utf-8").count("tokens to train on") for log in logs]
            assert begun == [1] * RUNS
            tables = [pd.read_csv(place / f"study{n}" / "runs.csv") for n in range(PROCESSES)]
            assert len(tables[0]) == RUNS
            assert set(tables[0]["status"]) == {"finished"}
            for table in tables[1:]:
                pd.testing.assert_frame_equal(table, tables[0])
