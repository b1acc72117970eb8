"""Test that the processes that prepare batches end with the run, however it ends."""

import multiprocessing

import pytest

from minitx.errors import UserError
from minitx.objectives.language_modeling import LanguageModeling


@pytest.mark.parametrize("step", [0, 1, 6])
@pytest.mark.parametrize("error", [UserError("wrong"), ArithmeticError("a bug")])
def test_a_run_that_fails_leaves_no_process(error, step, train, monkeypatch, tmp_path):
    """This process would wait for them when it ends, since they ignore signals."""
    training_step = LanguageModeling.training_step

    def fail(self, batch, batch_idx):
        if self.trainer.global_step == step:
            raise error
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModeling, "training_step", fail)
    with pytest.raises(type(error)):
        train(f"run.dir={tmp_path / 'run'}", "data.workers=1")
    assert multiprocessing.active_children() == []


def test_a_loss_that_is_not_finite_leaves_no_process(train, tmp_path):
    rates = ["optimizer=adamw", "optimizer.lr=1e30", "optimizer.warmup_steps=0"]
    with pytest.raises(UserError, match="not finite"):
        train(f"run.dir={tmp_path / 'run'}", "data.workers=1", *rates)
    assert multiprocessing.active_children() == []
