"""Interrupted and resumed runs, and uninterrupted ones to compare them with."""

import signal

import pytest
from run_files import assert_same, checkpoint, files, rows, summary

from minitx.errors import UserError
from minitx.objectives.base import Objective

# Everything that draws random numbers or changes with time, in a run of 12 steps.
RANDOM = ["model.dropout=0.1", "trainer.max_steps=12", "trainer.val_every=5", "seed=3"]


def assert_resumes_exactly(train, monkeypatch, folder, steps, *words):
    """Asserts that a run that is interrupted in step 7 and resumed equals the whole run."""
    whole, parts = folder / "whole", folder / "parts"
    train(f"run.dir={whole}", *words)
    stop(train, monkeypatch, parts, 7, *words)
    train(f"resume={parts}")
    assert list(rows(parts)) == list(range(1, steps + 1))
    assert_same_run(parts, whole)


def stop(train, monkeypatch, folder, step, *words):
    """Starts a run, and interrupts it in the middle of a step."""
    training_step, done = Objective.training_step, []

    def interrupted(self, batch, batch_idx):
        if self.trainer.global_step == step - 1 and not done:
            done.append(step)
            signal.raise_signal(signal.SIGINT)
        return training_step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "training_step", interrupted)
        with pytest.raises(UserError, match=f"stopped at step {step}, .* resume={folder}$"):
            train(f"run.dir={folder}", *words)
    assert summary(folder)["status"] == "interrupted"


def assert_same_run(one, other):
    """Two folders of the same run: metrics, weights to the bit, optimizers, figures."""
    assert rows(one) == rows(other)
    assert files(one) == files(other)
    for file in sorted(path.stem for path in (one / "checkpoints").iterdir()):
        kept = [checkpoint(folder, file) for folder in (one, other)]
        for key in ("state_dict", "current_model_state", "optimizer_states", "global_step"):
            assert_same(*(values.get(key) for values in kept), key)
    facts = [summary(folder, timed=False) for folder in (one, other)]
    assert facts[0] == facts[1]
    for name in ("samples.txt", "confusion_test.png"):
        if (one / name).exists():
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
