"""Test the progress bar and the remaining time that it shows, with a fake clock."""

import io
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from minitx.data.module import StepDataModule
from minitx.objectives.base import Objective
from minitx.terminal.console import Console
from minitx.training import progress
from minitx.training.callbacks import Clock
from minitx.training.pace import Pace, validations_to_come
from minitx.training.progress import TrainingProgress

STEP, BATCH, SAMPLES = 1.0, 2.0, 3.0  # seconds of a step, of a batch of evaluation, of samples
VAL_EVERY, VAL_BATCHES = 10, 4
TEST_EXAMPLES, EVALUATED_TOGETHER = 22, 4  # 6 batches


class Learned(Objective):
    """As far as progress asks: a step's loss, and the tokens of a batch."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.step_loss = torch.tensor(2.5)

    def tokens(self, batch):
        return 100


class Simulated:
    """A run in which time passes only where something is done; what is shown goes to stderr."""

    def __init__(self, monkeypatch, max_steps=-1, max_minutes=None, final=("test",)):
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
        self.clock = Clock(max_minutes)
        self.shown = TrainingProgress(self.clock, VAL_EVERY, final)
        self.trainer = SimpleNamespace(
            state=SimpleNamespace(fn=TrainerFn.FITTING),
            strategy=SimpleNamespace(broadcast=lambda value: value),
            global_step=0,
            max_steps=max_steps,
            accumulate_grad_batches=1,
            world_size=1,
            num_val_batches=[VAL_BATCHES],
            num_test_batches=[6],
            callback_metrics={"val/loss": torch.tensor(1.5)},
            datamodule=StepDataModule(
                {"val": range(500), "test": range(TEST_EXAMPLES)},
                EVALUATED_TOGETHER,
                item_tokens=1,
                steps_an_epoch=VAL_EVERY,
            ),
        )
        self.module = Learned()

    def start(self):
        self.clock.on_train_start(self.trainer)
        self.shown.on_train_start(self.trainer)

    def steps(self, number):
        self.clock.on_train_epoch_start(self.trainer)
        for _ in range(number):
            self.now += STEP
            self.trainer.global_step += 1
            for callback in (self.clock, self.shown):
                callback.on_train_batch_end(self.trainer, self.module, None, None, 0)

    def evaluate(self, what, batches):
        getattr(self.shown, f"on_{what}_start")(self.trainer)
        for _ in range(batches):
            self.now += BATCH
            getattr(self.shown, f"on_{what}_batch_end")(self.trainer)

    def validated(self):
        """The end of a validation, and the samples after it."""
        self.shown.on_validation_epoch_end(self.trainer)
        self.shown.on_validation_end(self.trainer, self.module)
        self.now += SAMPLES

    def trained(self):
        self.clock.on_train_end(self.trainer)
        self.shown.on_train_end(self.trainer)


def last(capsys):
    """The latest line on standard error."""
    return capsys.readouterr().err.splitlines()[-1]


def test_before_the_first_validation_the_time_left_is_that_of_the_steps(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20)
    run.start()
    assert last(capsys) == "training   0%, step 0/20"
    run.steps(5)
    assert last(capsys) == (
        "training  25%, 0:00:15 of training left, step 5/20, 100 tokens/s, loss 2.500"
    )


def test_during_a_validation_its_batches_are_counted(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20)
    run.start()
    run.steps(VAL_EVERY)
    run.evaluate("validation", 2)
    # Half of this validation, 10 steps, another validation and the 6 batches of test.
    left = 2 * BATCH + 10 * STEP + VAL_BATCHES * BATCH + 6 * BATCH
    assert last(capsys).startswith(f"validating  50%, 0:00:{left:.0f} left, step 10/20, ")


def test_a_validation_counts_with_its_samples_once_it_is_known(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=30)
    run.start()
    run.steps(VAL_EVERY)
    run.evaluate("validation", VAL_BATCHES)
    run.validated()
    run.steps(1)
    left = 19 * STEP + 2 * (VAL_BATCHES * BATCH + SAMPLES) + 6 * BATCH
    assert last(capsys).startswith(f"training  37%, 0:00:{left:.0f} left, step 11/30, ")


def test_the_estimated_time_is_the_true_time(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20)
    run.start()
    run.steps(VAL_EVERY)
    run.evaluate("validation", VAL_BATCHES)
    run.validated()
    run.steps(1)
    said = run.now + float(last(capsys).partition("0:00:")[2].partition(" left")[0])
    run.steps(VAL_EVERY - 1)
    run.evaluate("validation", VAL_BATCHES)
    run.validated()
    run.trained()
    run.trainer.state.fn = TrainerFn.TESTING
    run.evaluate("test", 6)
    assert run.now == said


def test_a_test_shows_how_far_it_is(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20)
    run.trainer.global_step, run.trainer.state.fn = 20, TrainerFn.TESTING
    run.evaluate("test", 2)
    assert last(capsys) == f"testing  33%, 0:00:0{4 * BATCH:.0f} left, step 20/20"


def test_what_follows_an_evaluation_is_left_too(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20, final=["val", "test"])
    run.trainer.global_step, run.trainer.state.fn = 20, TrainerFn.VALIDATING
    run.evaluate("validation", 1)
    assert f"0:00:{3 * BATCH + 6 * BATCH:.0f} left" in last(capsys)


def test_minutes_include_the_validations_but_not_the_test(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_minutes=1)
    run.start()
    run.steps(VAL_EVERY)
    assert "0:00:50 of training left" in last(capsys)
    run.evaluate("validation", VAL_BATCHES)
    run.validated()
    run.steps(1)
    left = 60 - 11 * STEP - VAL_BATCHES * BATCH - SAMPLES + 6 * BATCH
    assert f"0:00:{left:.0f} left" in last(capsys)


def test_a_resumed_run_is_judged_by_its_own_pace(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=200)
    run.trainer.global_step = 100
    run.clock.training_seconds, run.clock.elapsed_before = 9000.0, 12000.0
    run.start()
    run.steps(5)
    assert "0:01:35 of training left" in last(capsys)


def test_lines_come_now_and_then(monkeypatch, capsys):
    run = Simulated(monkeypatch, max_steps=20)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 10.0)
    run.start()
    run.steps(10)
    run.evaluate("validation", 20)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("%")[0].split()[0] for line in lines] == [
        *["training"] * 2,
        *["validating"] * 4,
    ]


def test_a_terminal_shows_one_bar_at_a_time(monkeypatch):
    run = Simulated(monkeypatch, max_steps=10)
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    run.shown.console = Console(file=screen, force_terminal=True, width=120)
    run.start()
    run.steps(10)
    run.evaluate("validation", 2)
    assert "validating" in screen.getvalue()
    assert " 50%" in screen.getvalue()
    run.validated()
    run.trained()
    assert run.shown.bar is None
    run.trainer.state.fn = TrainerFn.TESTING
    run.evaluate("test", 3)
    assert "testing" in screen.getvalue()
    run.shown.on_test_epoch_end(run.trainer)
    assert run.shown.bar is None  # what is decoded next has one of its own


@pytest.mark.parametrize("step", [0, 1, 9, 10, 19, 20, 22])
@pytest.mark.parametrize("max_steps", [20, 22])
def test_validations_to_come_are_those_of_the_steps_to_come(step, max_steps):
    stops = {each for each in range(1, max_steps + 1) if each % VAL_EVERY == 0} | {max_steps}
    expected = len([stop for stop in stops if stop > step])
    assert validations_to_come(step, max_steps, VAL_EVERY) == expected


def test_no_estimate_is_shown_before_it_is_known():
    assert Pace().of_steps(3) is None
    assert Pace().of_batches(3) is None
    assert Pace().of_validations(3, 4) is None


def test_a_run_shows_what_it_does_and_its_progress(train, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=4", "trainer.val_every=2")
    lines = [line for line in capsys.readouterr().err.splitlines() if "%, " in line]
    told = [(line.split()[0], int(line.split()[1].rstrip("%,"))) for line in lines]
    phases = [doing for doing, _ in told]
    stretches = [doing for n, doing in enumerate(phases) if phases[:n][-1:] != [doing]]
    assert stretches == ["training", "validating", "training", "validating", "training", "testing"]
    assert [done for doing, done in told if doing == "training"][-1] == 100
    for doing in ("validating", "testing"):
        shares = [done for what, done in told if what == doing]
        assert shares[0] == 0
        assert shares[-1] == 100
    assert all(" left, step " in line for line in lines if line.startswith("testing 100%"))
