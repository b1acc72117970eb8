"""Many runs from one command: each in its own folder, all of them compared at the end."""

import os
import signal
from pathlib import Path

import pytest
import torch
from run_files import rows, summary

from minitx.errors import UserError
from minitx.objectives.language_modeling import LanguageModeling


def run_folders():
    return sorted(path for path in Path("runs").iterdir() if path.name != "multirun")


def table_rows(out):
    """The cells of the last table that was printed, row by row."""
    last = out[out.rindex("┏") :]
    return [
        [cell.strip() for cell in line.strip("│\n").split("│")]
        for line in last.splitlines()
        if line.startswith("│")
    ]


def test_a_grid_of_runs(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = script("train", "-m", *tiny, "model=transformer,lstm", "seed=1,2")
    assert answer.status == 0, answer.err
    found = [summary(folder) for folder in run_folders()]
    kinds = {(one["model"], one["seed"]) for one in found}
    assert kinds == {(model, seed) for model in ("transformer", "lstm") for seed in (1, 2)}
    assert all(one["status"] == "finished" for one in found)
    assert all(list(rows(folder)) == list(range(1, 11)) for folder in run_folders())
    table = [row for row in table_rows(answer.out) if row[0]]  # other rows continue long names
    losses = {
        f"model={one['model']} seed={one['seed']}": f"{one['metrics']['val/loss']:.4f}"
        for one in found
    }
    assert {run: loss for run, _, loss, *_ in table} == losses
    assert set(Path.cwd().iterdir()) == {tmp_path / "runs"}


def test_runs_of_the_same_second_and_name(script, tiny, tmp_path, monkeypatch):
    """Jobs that differ in nothing that is in the folder's name do not overwrite each other."""
    monkeypatch.chdir(tmp_path)
    assert script("train", "-m", *tiny, "optimizer.lr=0.001,0.002,0.003").status == 0
    assert len(run_folders()) == 3
    assert len({summary(folder)["metrics"]["val/loss"] for folder in run_folders()}) == 3


def test_a_job_that_fails_does_not_stop_the_others(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = script("train", "-m", *tiny, "model.heads=3,4", "seed=1,2")
    assert answer.status == 1
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert errors[0].startswith("error: model.heads=3 seed=1: heads=3 does not divide dim=16")
    assert errors[1].startswith("error: model.heads=3 seed=2: heads=3 does not divide dim=16")
    assert errors[2] == "error: 2 of 4 jobs failed: model.heads=3 seed=1; model.heads=3 seed=2"
    assert "Traceback" not in answer.err
    assert [summary(folder)["seed"] for folder in run_folders()] == [1, 2]
    assert len([row for row in table_rows(answer.out) if row[0]]) == 2


def test_a_bug_in_one_job_does_not_stop_the_others(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training_step = LanguageModeling.training_step

    def step(self, batch, batch_idx):
        if self.seed == 1 and self.trainer.global_step == 7:
            raise ArithmeticError("a bug")
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModeling, "training_step", step)
    with pytest.raises(ArithmeticError, match="a bug"):  # it keeps its traceback
        script("train", "-m", *tiny, "seed=1,2")
    assert [summary(folder)["status"] for folder in run_folders()] == ["failed", "finished"]


def test_a_grid_that_cannot_be_composed_is_refused_before_anything_is_trained(
    script, tiny, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer = script("train", "-m", *tiny, "model=transformer,lstm", "model.heads=2")
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert "model.heads" in answer.err
    assert "lstm" not in answer.out
    assert not Path("runs").exists() or not run_folders()


def test_ctrl_c_ends_the_whole_grid(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training_step = LanguageModeling.training_step

    def step(self, batch, batch_idx):
        if self.seed == 2 and self.trainer.global_step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModeling, "training_step", step)
    answer = script("train", "-m", *tiny, "seed=1,2,3")
    assert answer.status == 1
    states = [(summary(f)["seed"], summary(f)["status"]) for f in run_folders()]
    assert states == [(1, "finished"), (2, "interrupted")]
    assert "stopped at step 7," in answer.err
    assert len([row for row in table_rows(answer.out) if row[0]]) == 1


def test_jobs_do_not_depend_on_those_before(script, train, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert script("train", "-m", *tiny, "seed=1,2", "model.dropout=0.1").status == 0
    torch.manual_seed(99)
    train("run.dir=alone", "seed=2", "model.dropout=0.1")
    assert rows(run_folders()[1]) == rows(Path("alone"))


def test_a_folder_is_never_taken_twice(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}")
    before = (tmp_path / "run" / "summary.json").read_bytes()
    with pytest.raises(UserError, match="already exists and is never overwritten"):
        train(f"run.dir={tmp_path / 'run'}")
    assert (tmp_path / "run" / "summary.json").read_bytes() == before
