"""Test a study with several tasks in its grid from the command line."""

from pathlib import Path

import numpy as np
from own_studies import MINE, write_study

from minitx.study.results.collecting import open_study

SETTINGS = [
    *("task.train_length=4", "task.test_lengths=[3,8]", "model.context=16", "model.dim=16"),
    *("model.layers=1", "data.batch_size=8", "trainer.max_steps=4", "trainer.val_every=2"),
]


def test_all_tasks_are_done_and_each_is_measured_by_length(script, briefly, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(
        tasks=["parity", "copy"],
        grid={"task": ["parity", "copy"]},
        arms={"lstm": ["model=lstm"]},
        settings=SETTINGS,
        sections=["lengths", "seed_curves"],
    )
    answer = script("compare", *MINE, "logger=none")
    assert answer.status == 0, answer.err
    results = open_study("studies/mine_quick")
    assert list(results.runs["task"]) == ["parity", "copy"]
    assert set(results.runs["status"]) == {"finished"}
    assert len(set(results.runs["data_fingerprint"])) == 2
    for run in results.runs.to_dict("records"):
        found = results.details[run["key"]]["lengths"]
        assert list(found["length"]) == [3, 8]
        for length, exact, accuracy in zip(
            found["length"], found["exact match"], found["accuracy"], strict=True
        ):
            assert run[f"test/exact_match_at_{length}"] == exact
            assert run[f"test/accuracy_at_{length}"] == accuracy
        assert run["test/exact_match"] == np.mean(found["exact match"])
    report = Path("studies/mine_quick/report.md").read_text(encoding="utf-8")
    assert report.startswith("# mine\n")
    assert "| arm | parity | copy |" in report
    assert "chance level" in report
    answer = script("compare", *MINE, "logger=none", "task=copy")
    assert answer.status == 0, answer.err
    alone = open_study("studies/mine_copy_quick")
    assert set(alone.runs["key"]) == {results.runs["key"].iloc[1]}  # trained once for both
