"""How far a training is, for whoever watches it."""

import sys
import time
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.types import STEP_OUTPUT
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from torch import Tensor

from minitx.callbacks import Clock, ends_step
from minitx.tasks.base import Objective

PLAIN_INTERVAL = 10.0  # seconds from one line to the next where there is no terminal
REFRESH_INTERVAL = 0.2  # seconds from one drawing of the bar to the next


class TrainingProgress(ProgressBar):
    """A bar with time left, speed and losses on a terminal; now and then a line elsewhere.

    The bar follows steps or minutes, whichever limit is nearer.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.last_shown = 0.0
        self.first_fraction = 0.0
        self.began = 0.0
        self.train_loss: Tensor | None = None
        self.val_loss: float | None = None

    def disable(self) -> None:
        """Lightning silences all ranks but the first with this."""
        self.console.quiet = True

    def enable(self) -> None:
        """The opposite of `disable`."""
        self.console.quiet = False

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.began = time.monotonic()
        self.first_fraction = fraction_done(trainer, self.clock)
        if self.console.is_terminal and not self.console.quiet:
            self.bar = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[status]}"),
                console=self.console,
                auto_refresh=False,
            )
            self.bar.start()
            self.bar.add_task("training", total=1.0, status="")
        self._show(trainer, force=True)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, Objective)
        if ends_step(trainer, batch_idx):
            self.train_loss = pl_module.step_loss  # stays on its device until it is shown
            self._show(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.val_loss = float(trainer.callback_metrics["val/loss"])
        self._show(trainer, force=True)

    def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._close()

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        self._close()

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
        done = fraction_done(trainer, self.clock)
        status = ", ".join(self._facts(trainer, done, now))
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, status=status)
            self.bar.refresh()
        else:
            print(f"training {done:4.0%}, {status}", file=sys.stderr, flush=True)

    def _facts(self, trainer: L.Trainer, done: float, now: float) -> list[str]:
        gained = done - self.first_fraction
        facts = []
        if gained > 0 and done < 1:
            left = (now - self.began) * (1 - done) / gained
            facts.append(f"{timedelta(seconds=round(left))} left")
        limit = f"/{trainer.max_steps:,}" if trainer.max_steps > 0 else ""
        facts.append(f"step {trainer.global_step:,}{limit}")
        if self.clock.training_seconds > 0:
            facts.append(f"{self.clock.tokens / self.clock.training_seconds:,.0f} tokens/s")
        if self.train_loss is not None:
            facts.append(f"loss {float(self.train_loss):.3f}")
        if self.val_loss is not None:
            facts.append(f"val {self.val_loss:.3f}")
        return facts


def fraction_done(trainer: L.Trainer, clock: Clock) -> float:
    """How far a training is, from 0 to 1, by steps or by minutes, whichever is further."""
    by_steps = trainer.global_step / trainer.max_steps if trainer.max_steps > 0 else 0.0
    by_time = clock.spent / clock.limit if clock.limit is not None else 0.0
    return min(1.0, max(by_steps, by_time))
