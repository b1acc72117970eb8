"""Show the progress of a run: training, validations and the evaluations at the end."""

import math
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn
from torch import Tensor

from minitx.data.module import StepDataModule
from minitx.terminal.console import Console, text_column
from minitx.terminal.text import note
from minitx.training.callbacks import Clock, ends_step
from minitx.training.pace import Pace, validations_to_come

PLAIN_INTERVAL = 10.0  # seconds from one line to the next without a terminal
REFRESH_INTERVAL = 0.2  # seconds from one drawing of the bar to the next

NAMES: dict[TrainerFn | None, str] = {TrainerFn.VALIDATING: "val", TrainerFn.TESTING: "test"}


class TrainingProgress(ProgressBar):
    """A bar with the time left, speed and losses on a terminal; elsewhere a line from time to time.

    During training, the bar follows steps or minutes, whichever limit is nearer. In a validation or
    test, it follows the batches. The time left is that of the whole run. It is estimated from the
    time that steps, validations and evaluations took so far. `val_every` is the number of steps
    between validations, and `final` are the splits that are evaluated whole at the end.
    """

    def __init__(self, clock: Clock, val_every: int, final: Sequence[str]) -> None:
        super().__init__()
        self.clock, self.val_every, self.final = clock, val_every, list(final)
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.last_shown = 0.0
        self.pace = Pace()
        self.first_step, self.first_trained, self.first_elapsed = 0, 0.0, 0.0
        self.evaluating: str | None = None  # "validating" or "testing"
        self.batch, self.of_batches = 0, 0  # of the current evaluation
        self.batch_began = 0.0
        self.train_loss: Tensor | None = None
        self.val_loss: float | None = None

    def disable(self) -> None:
        """Print nothing. Lightning calls this in all ranks but the first."""
        self.console.quiet = True

    def enable(self) -> None:
        """Undo `disable`."""
        self.console.quiet = False

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.first_step = trainer.global_step
        self.first_trained, self.first_elapsed = self.clock.training_seconds, self.clock.elapsed
        self._open()
        self._show(trainer, force=True)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: Any,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if ends_step(trainer, batch_idx):
            self.train_loss = pl_module.step_loss  # stays on its device until it is shown
            self.pace.steps = trainer.global_step - self.first_step
            self.pace.step_seconds = self.clock.training_seconds - self.first_trained
            elapsed = self.clock.elapsed - self.first_elapsed
            self.pace.validation_seconds = elapsed - self.pace.step_seconds
            self._show(trainer)

    def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._close()

    def on_validation_start(self, trainer: L.Trainer, *args: Any) -> None:
        self._begin(trainer, "validating", trainer.num_val_batches)

    def on_test_start(self, trainer: L.Trainer, *args: Any) -> None:
        self._begin(trainer, "testing", trainer.num_test_batches)

    def on_validation_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._count(trainer)

    def on_test_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._count(trainer)

    def on_validation_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._end(trainer)

    def on_test_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._end(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.val_loss = float(trainer.callback_metrics["val/loss"])
        if trainer.state.fn == TrainerFn.FITTING:
            self.pace.validations += 1
            self._show(trainer, force=True)

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        self._close()

    def _begin(self, trainer: L.Trainer, doing: str, batches: Sequence[int | float]) -> None:
        self.evaluating, self.batch, self.of_batches = doing, 0, int(sum(batches))
        self.batch_began = time.monotonic()
        self._open()  # if there is no training bar
        self._show(trainer, force=self.bar is not None)

    def _count(self, trainer: L.Trainer) -> None:
        now = time.monotonic()
        self.pace.batches += 1
        self.pace.batch_seconds += now - self.batch_began
        self.batch, self.batch_began = self.batch + 1, now
        self._show(trainer)

    def _end(self, trainer: L.Trainer) -> None:
        self.evaluating = None
        if trainer.state.fn != TrainerFn.FITTING:
            self.final = [split for split in self.final if split != NAMES.get(trainer.state.fn)]
            self._close()  # decoding the test split shows its own bar

    def _open(self) -> None:
        if self.bar is None and self.console.is_interactive and not self.console.quiet:
            self.bar = Progress(
                SpinnerColumn(self.console.spinner),  # it turns while samples and pictures are made
                text_column("{task.description}", "bold"),
                BarColumn(),
                TaskProgressColumn(),
                text_column("{task.fields[status]}"),
                console=self.console,
                refresh_per_second=1 / REFRESH_INTERVAL,
            )
            self.bar.start()
            self.bar.add_task("", total=1.0, status="")

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _show(self, trainer: L.Trainer, force: bool = False) -> None:
        now = time.monotonic()
        interval = REFRESH_INTERVAL if self.bar is not None else PLAIN_INTERVAL
        if self.console.quiet or not (force or now - self.last_shown >= interval):
            return
        self.last_shown = now
        doing, done = "training", fraction_done(trainer, self.clock)
        if self.evaluating is not None:
            doing, done = self.evaluating, self.batch / max(1, self.of_batches)
        status = ", ".join(self._facts(trainer))
        if self.bar is not None:
            task = self.bar.task_ids[0]
            self.bar.update(task, description=doing, completed=done, status=status)
            self.bar.refresh()
        else:
            note(f"{doing} {done:4.0%}, {status}")

    def _facts(self, trainer: L.Trainer) -> list[str]:
        facts = self._left(trainer)
        limit = f"/{trainer.max_steps:,}" if trainer.max_steps > 0 else ""
        facts.append(f"step {trainer.global_step:,}{limit}")
        if self.clock.training_seconds > 0:
            facts.append(f"{self.clock.tokens / self.clock.training_seconds:,.0f} tokens/s")
        if self.train_loss is not None:
            facts.append(f"loss {float(self.train_loss):.3f}")
        if self.val_loss is not None:
            facts.append(f"val {self.val_loss:.3f}")
        return facts

    def _left(self, trainer: L.Trainer) -> list[str]:
        """Return the time left, in words; that of the steps until a validation has been timed."""
        steps, rest = 0.0, self.pace.of_batches(self._batches_to_come(trainer))
        if trainer.state.fn == TrainerFn.FITTING:
            fit = self._steps_and_validations(trainer)
            if fit is None:
                return []
            steps, validations = fit
            rest = None if rest is None or validations is None else rest + validations
        if rest is None:
            return [f"{timedelta(seconds=round(steps))} of training left"] if steps else []
        return [f"{timedelta(seconds=round(steps + rest))} left"]

    def _steps_and_validations(self, trainer: L.Trainer) -> tuple[float, float | None] | None:
        """Return the seconds of the remaining steps and validations, by the nearer limit."""
        limits: list[tuple[float, float | None]] = []
        if self.clock.limit is not None:  # it counts both
            limits.append((max(0.0, self.clock.limit - self.clock.elapsed), 0.0))
        if trainer.max_steps > 0:
            steps = self.pace.of_steps(trainer.max_steps - trainer.global_step)
            if steps is not None:
                validations = self.pace.of_validations(
                    validations_to_come(trainer.global_step, trainer.max_steps, self.val_every),
                    int(sum(trainer.num_val_batches)),
                )
                limits.append((steps, validations))
        return min(limits, key=lambda limit: limit[0] + (limit[1] or 0.0), default=None)

    def _batches_to_come(self, trainer: L.Trainer) -> int:
        """Return the batches left in the current evaluation and in the splits at the end."""
        under_way = self.of_batches - self.batch if self.evaluating is not None else 0
        now = NAMES.get(trainer.state.fn)  # a split that is being evaluated after the fit
        final = [whole_batches(trainer, split) for split in self.final if split != now]
        return under_way + sum(final)


def whole_batches(trainer: L.Trainer, split: str) -> int:
    """Return the number of batches of a whole split in one process; 0 if there is no such split."""
    data = trainer.datamodule  # type: ignore
    assert isinstance(data, StepDataModule)
    items = math.ceil(len(data.evaluation.get(split, ())) / trainer.world_size)
    return math.ceil(items / (data.evaluation_size or 1))


def fraction_done(trainer: L.Trainer, clock: Clock) -> float:
    """Return the fraction of a run that is done, by steps or minutes, whichever is larger."""
    by_steps = trainer.global_step / trainer.max_steps if trainer.max_steps > 0 else 0.0
    by_time = clock.spent / clock.limit if clock.limit is not None else 0.0
    return min(1.0, max(by_steps, by_time))
