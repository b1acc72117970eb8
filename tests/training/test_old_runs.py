"""Test that runs and a study of an earlier version can be opened, resumed and reported.

`tests/old_runs/` holds one tiny run of each objective after 10 steps, what the same version made of
them in 16 (`*.resumed.csv`), and one tiny study. They were written at commit 2481a16.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest
from run_files import rows, summary

from minitx.config.renames import NEW_NAMES
from minitx.study.run import launching
from minitx.tasks.run import load

OLD = Path(__file__).resolve().parents[1] / "old_runs"
CORPUS = {
    "language_modeling": "play.txt",
    "sequence_to_sequence": "pairs.tsv",
    "classification": "labels.jsonl",
}
# Another order of summation changes a float32 by about 1e-7 of its size. torch's Muon, which took
# the first steps, also rounds to bfloat16 (2^-9 = 2e-3).
ROUNDED = 2e-3


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=CORPUS)
def old_run(request, tmp_path):
    """The name of an objective, and a copy of its run that may be changed."""
    return request.param, shutil.copytree(OLD / request.param, tmp_path / request.param)


def test_measures_as_before(old_run, script):
    name, folder = old_run
    assert load(folder).step == 10
    corpus = f"data.path={OLD / CORPUS[name]}"
    assert script("evaluate", f"run={folder}", "split=test", corpus).status == 0
    measured = json.loads((folder / "evaluation_test.json").read_text(encoding="utf-8"))["metrics"]
    before = summary(folder)["metrics"]
    shared = [name for name in before if name.removeprefix("test/") in measured]
    assert shared
    for name in shared:
        assert measured[name.removeprefix("test/")] == pytest.approx(
            before[name], rel=1e-5, abs=1e-6
        )


def test_resumes_as_before(old_run, script):
    name, folder = old_run
    corpus = f"data.path={OLD / CORPUS[name]}"
    answer = script("train", f"resume={folder}", "trainer.max_steps=16", corpus)
    assert answer.status == 0, answer.err
    before = {int(row["step"]): row for row in table(OLD / f"{name}.resumed.csv")}
    now = rows(folder)
    assert list(now) == list(before)
    for step, row in now.items():
        for metric in ("train/loss", "val/loss", "test/loss", "lr"):
            if metric in row:
                assert row[metric] == pytest.approx(float(before[step][metric]), rel=ROUNDED)


def compare_again(script, folder, *words):
    """The old study, in a copy of its folder."""
    return script(
        "compare",
        *("--config-dir", OLD / "configs", "study=small", "task=text"),
        *(f"data.path={OLD / 'play.txt'}", f"study.dir={folder}", f"study.runs={folder / 'store'}"),
        *words,
    )


def check_tables(folder):
    """The figures are as before; a column of a renamed key has its new name."""
    tables = [table(path / "runs.csv") for path in (folder, OLD / "study")]
    for now, before in zip(*tables, strict=True):
        kept = {name for name in before if name != "folder"}
        new = {name: NEW_NAMES.get(name, name) for name in kept}
        assert {name: now[new[name]] for name in kept} == {name: before[name] for name in kept}


def test_a_study_reports_as_before(tmp_path, script):
    folder = shutil.copytree(OLD / "study", tmp_path / "study")
    answer = compare_again(script, folder, "report_only=true")
    assert answer.status == 0, answer.err
    check_tables(folder)
    assert "against 4.877 bits per byte" in (folder / "report.md").read_text(encoding="utf-8")


def test_the_runs_of_a_study_count_after_their_keys_were_renamed(tmp_path, script, monkeypatch):
    launched = set()
    monkeypatch.setattr(launching, "launch", launched.update)
    folder = shutil.copytree(OLD / "study", tmp_path / "study")
    # These defaults have changed since.
    then = ("trainer.val_tokens=null", "optimizer.momentum=0.95", "optimizer.schedule=cosine")
    answer = compare_again(script, folder, *then, "optimizer.min_lr_ratio=0.1", "logger=none")
    assert "left 4 of 8 runs" in answer.err  # the sweep has a seed of its own now
    assert len(launched) == 4
    assert not any((folder / "store" / key).exists() for key in launched)
    assert "optimizer.muon_lr" in (folder / "study.json").read_text(encoding="utf-8")
