"""Test that validation during training may read a part of val, and that reports use all of it."""

import json

import pytest
from run_files import series, summary

from minitx.config.schema import EvaluateConfig
from minitx.tasks.evaluation import evaluate

PART = "trainer.val_tokens=64"  # 4 windows of 16


def whole(run):
    """The loss of the run's best checkpoint on all of val, measured separately."""
    _, evaluation = evaluate(EvaluateConfig(run=str(run.folder), split="val"))
    return evaluation.metrics["loss"]


def test_the_summary_is_of_all_of_val(train, tmp_path, capsys):
    run = train(PART, f"run.dir={tmp_path / 'run'}")
    said = capsys.readouterr().err
    assert "validations read" in said
    assert "final metrics cover all of it" in said
    reported = summary(run.folder)
    assert reported["metrics"]["val/loss"] == pytest.approx(whole(run), rel=1e-6)
    of_the_part = series(run.folder, "val/loss")
    assert set(of_the_part) == {5, 10}
    assert abs(min(of_the_part.values()) - reported["metrics"]["val/loss"]) > 1e-4
    assert 0 < reported["data"]["validation_fraction"] < 1


def test_the_part_does_not_change_the_training(train, tmp_path):
    part = train(PART, f"run.dir={tmp_path / 'part'}")
    all_of_it = train(f"run.dir={tmp_path / 'all'}")
    assert series(part.folder, "train/loss") == series(all_of_it.folder, "train/loss")
    assert summary(all_of_it.folder)["data"]["validation_fraction"] == 1
    assert summary(all_of_it.folder)["metrics"]["val/loss"] == pytest.approx(
        min(series(all_of_it.folder, "val/loss").values()), rel=1e-6
    )


def test_a_resumed_run_reads_the_same_part(train, tmp_path):
    words = (PART, "optimizer.schedule=constant")  # the others depend on trainer.max_steps
    once = train(*words, f"run.dir={tmp_path / 'once'}")
    twice = train(*words, "trainer.max_steps=5", f"run.dir={tmp_path / 'twice'}")
    train(f"resume={twice.folder}", "trainer.max_steps=10")
    assert series(once.folder, "val/loss")[10] == series(twice.folder, "val/loss")[10]
    assert json.loads((twice.folder / "summary.json").read_text())["steps"] == 10


def test_a_resumed_run_cannot_read_another_part(train, script, tmp_path):
    run = train(PART, "trainer.max_steps=5", f"run.dir={tmp_path / 'run'}")
    answer = script("train", f"resume={run.folder}", "trainer.val_tokens=null")
    assert answer.status == 1
    assert "resume cannot change trainer.val_tokens" in answer.err
    train(f"resume={run.folder}", PART, "trainer.max_steps=10")  # the same is no change


def test_the_better_of_average_and_best_is_found_on_all_of_val(train, tmp_path):
    run = train(PART, "trainer.average=2", f"run.dir={tmp_path / 'run'}")
    assert summary(run.folder)["metrics"]["val/loss"] == pytest.approx(whole(run), rel=1e-6)
