"""Callbacks around the training steps: the clock and the metrics."""

import math
import time
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT

from minitx.errors import UserError
from minitx.training.loggers import MetricsFile


class Clock(L.Callback):
    """Count tokens and seconds over a run and its resumptions, and end it when time is up.

    `training_seconds` leaves out validation and checkpoints. `cpu_seconds` is the time that all
    cores have worked for the process in `training_seconds`, and NaN if an earlier version, which
    did not measure it, began the run. `elapsed` includes validation and checkpoints, and
    `max_minutes` limits it. `spent` is `elapsed` at the latest step in the first process. It is
    shared, so that all processes end at the same step and have the same learning rate.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self.limit = None if max_minutes is None else 60 * max_minutes
        self.tokens = 0
        self.training_seconds = 0.0
        self.cpu_seconds = 0.0
        self.elapsed_before = 0.0
        self.spent = 0.0
        self.started: float | None = None
        self.step_began: float | None = None
        self.cpu_began = 0.0
        self.fitting = False

    @property
    def elapsed(self) -> float:
        """The seconds of fitting so far, with validation and checkpoints."""
        now = 0.0 if self.started is None else time.monotonic() - self.started
        return self.elapsed_before + now

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.fitting = stage == "fit"

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        # A run that resumes within an epoch gets no on_train_epoch_start.
        self.started = self.step_began = time.monotonic()
        self.cpu_began = time.process_time()

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.step_began, self.cpu_began = time.monotonic(), time.process_time()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: Any,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now, cpu_now = time.monotonic(), time.process_time()
        if self.step_began is not None:
            self.training_seconds += now - self.step_began
            self.cpu_seconds += cpu_now - self.cpu_began
        self.step_began, self.cpu_began = now, cpu_now
        self.tokens += pl_module.tokens(batch)
        if self.limit is not None and ends_step(trainer, batch_idx):
            self.spent = trainer.strategy.broadcast(self.elapsed)
            if self.spent >= self.limit:
                trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
        self.elapsed_before, self.started = self.elapsed, None

    def state_dict(self) -> dict[str, Any]:
        return {
            "tokens": self.tokens,
            "training_seconds": self.training_seconds,
            "cpu_seconds": self.cpu_seconds,
            "elapsed": self.elapsed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not self.fitting:  # a test of the best checkpoint does not turn the clock back
            return
        self.tokens = state_dict["tokens"]
        self.training_seconds = state_dict["training_seconds"]
        self.cpu_seconds = state_dict.get("cpu_seconds", math.nan)  # older checkpoints lack it
        self.elapsed_before = self.spent = state_dict["elapsed"]


class RecordMetrics(L.Callback):
    """Write a row of metrics every `every` steps and at each validation.

    In other steps, nothing is read back from the device.
    """

    def __init__(self, every: int, clock: Clock) -> None:
        self.every = every
        self.clock = clock
        self.last_tokens = 0
        self.last_seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.last_tokens, self.last_seconds = self.clock.tokens, self.clock.training_seconds
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):  # a resumed run writes later rows again
                logger.keep_until(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: Any,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not ends_step(trainer, batch_idx) or trainer.global_step % self.every:
            return
        tokens, seconds = self.clock.tokens, self.clock.training_seconds
        metrics = {
            "train/loss": float(trainer.strategy.reduce(pl_module.step_loss)),
            "grad_norm": float(pl_module.grad_norm),
            "lr": trainer.optimizers[0].param_groups[-1]["lr"],  # AdamW's, also with Muon
            "tokens_per_second": (tokens - self.last_tokens) / (seconds - self.last_seconds),
        }
        self.last_tokens, self.last_seconds = tokens, seconds
        log(trainer, metrics)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:  # not of the weights of a training step
            return
        metrics = measured(trainer, "val/")
        seen = {"tokens_seen": self.clock.tokens, "train_seconds": self.clock.training_seconds}
        log(trainer, metrics | seen)
        if not math.isfinite(metrics["val/loss"]):
            raise UserError(
                f"the loss is not finite at step {trainer.global_step:,}: lower optimizer.lr or "
                "optimizer.muon_lr, or lengthen optimizer.warmup_steps"
            )

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        log(trainer, measured(trainer, "test/"))

    def on_save_checkpoint(self, trainer: L.Trainer, *args: Any) -> None:
        # A run that is killed afterwards continues from this checkpoint, after this row.
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.save()


def ends_step(trainer: L.Trainer, batch_idx: int) -> bool:
    """Return whether this batch is the last one whose gradients are added up for a step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def measured(trainer: L.Trainer, prefix: str) -> dict[str, float]:
    """Return the trainer's metrics of a split, whose prefix is "val/" or "test/"."""
    metrics = trainer.callback_metrics
    return {name: float(metrics[name]) for name in metrics if name.startswith(prefix)}


def log(trainer: L.Trainer, metrics: dict[str, float]) -> None:
    """Pass metrics to all loggers, with the current step."""
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
