"""What happens around the training steps: the clock, the metrics, the samples, the early end."""

import math
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import nn

from minitx.errors import UserError
from minitx.objectives.base import Objective
from minitx.objectives.classification import Classification
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically
from minitx.runs.paths import CONFUSION, LAST, SAMPLES
from minitx.tasks.base import Task
from minitx.training.loggers import MetricsFile


class Clock(L.Callback):
    """Counts tokens and seconds over a run and its resumptions, and ends it when time is up.

    `training_seconds` leaves out validation and checkpoints; `elapsed` does not, and is what
    `max_minutes` limits. `spent` is `elapsed` up to the latest step, as the first process counts
    it: with it, all processes end at the same step and have the same learning rate.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self.limit = None if max_minutes is None else 60 * max_minutes
        self.tokens = 0
        self.training_seconds = 0.0
        self.elapsed_before = 0.0
        self.spent = 0.0
        self.started: float | None = None
        self.step_began: float | None = None
        self.fitting = False

    @property
    def elapsed(self) -> float:
        """Seconds of fitting so far, whatever was done in them."""
        now = 0.0 if self.started is None else time.monotonic() - self.started
        return self.elapsed_before + now

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.fitting = stage == "fit"

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        # A run that resumes within an epoch gets no on_train_epoch_start.
        self.started = self.step_began = time.monotonic()

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.step_began = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = time.monotonic()
        if self.step_began is not None:
            self.training_seconds += now - self.step_began
        self.step_began = now
        assert isinstance(pl_module, Objective)
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
            "elapsed": self.elapsed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not self.fitting:  # a test of the best checkpoint does not turn the clock back
            return
        self.tokens = state_dict["tokens"]
        self.training_seconds = state_dict["training_seconds"]
        self.elapsed_before = self.spent = state_dict["elapsed"]


class RecordMetrics(L.Callback):
    """Writes a row of metrics every so many steps, and one at each validation.

    Nothing is read back from the device on the steps between.
    """

    def __init__(self, every: int, clock: Clock) -> None:
        self.every = every
        self.clock = clock
        self.last_tokens = 0
        self.last_seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.last_tokens, self.last_seconds = self.clock.tokens, self.clock.training_seconds
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):  # a resumed run writes the later rows again
                logger.keep_until(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not ends_step(trainer, batch_idx) or trainer.global_step % self.every:
            return
        assert isinstance(pl_module, Objective)
        tokens, seconds = self.clock.tokens, self.clock.training_seconds
        metrics = {
            "train/loss": float(trainer.strategy.reduce(pl_module.step_loss)),
            "grad_norm": float(pl_module.grad_norm),
            "lr": trainer.optimizers[0].param_groups[-1]["lr"],  # AdamW's, also beside Muon
            "tokens_per_second": (tokens - self.last_tokens) / (seconds - self.last_seconds),
        }
        self.last_tokens, self.last_seconds = tokens, seconds
        log(trainer, metrics)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:  # of weights that no step of training had
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


class WriteSamples(L.Callback):
    """Lets the model write at each validation: to samples.txt, and to W&B.

    `sample(model, device)` gives the text, or None if there is none. It must leave torch's
    generators alone, so that looking does not change the training.
    """

    def __init__(
        self, folder: Path, sample: Callable[[nn.Module, torch.device], str | None]
    ) -> None:
        self.path = folder / SAMPLES
        self.sample = sample

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.state.fn != TrainerFn.FITTING:
            return
        assert isinstance(pl_module, Objective)
        sample = self.sample(pl_module.model, pl_module.device)
        if sample is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"--- step {trainer.global_step} ---\n{sample}\n\n")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                rows = [[str(trainer.global_step), sample]]
                logger.log_text("sample", ["step", "text"], rows)

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.is_global_zero and self.path.exists():  # a resumed run writes the later ones
            parts = re.split(r"^(?=--- step (\d+) ---$)", self.path.read_text("utf-8"), flags=re.M)
            samples = zip(parts[1::2], parts[2::2], strict=True)
            kept = [text for step, text in samples if int(step) <= trainer.global_step]
            write_atomically(self.path, "".join(kept))


class DrawConfusion(L.Callback):
    """Draws which label was taken for which in the test split: to a picture, and to W&B."""

    def __init__(self, folder: Path, labels: tuple[str, ...]) -> None:
        self.folder, self.labels = folder, labels

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Classification)
        from minitx.drawing.figures import draw_confusion  # matplotlib takes its time

        picture = draw_confusion(pl_module.confusion.cpu().numpy(), self.labels, "test")
        path = self.folder / CONFUSION.format(split="test")
        write_bytes_atomically(path, picture)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("confusion", [str(path)])


def output_callbacks(task: Task, folder: Path) -> list[L.Callback]:
    """What shows the outputs of a task's model in the run's folder."""
    confusion = [DrawConfusion(folder, task.labels)] if task.labels else []
    return [WriteSamples(folder, task.sample), *confusion]


class Checkpoint(ModelCheckpoint):
    """Lightning's own, but it remembers its best score also where the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before, now = state_dict["dirpath"], str(self.dirpath)
        state = {
            name: value.replace(before, now) if isinstance(value, str) else value
            for name, value in state_dict.items()
        }
        scores = state_dict["best_k_models"]
        state["best_k_models"] = {path.replace(before, now): scores[path] for path in scores}
        super().load_state_dict(state)


class KeptCheckpoint(Checkpoint):
    """Keeps the best or the latest checkpoints, whose weights are averaged at the end."""


class Patience(EarlyStopping):
    """Ends a run after so many validations without gain; a resumed run may be given more."""

    def __init__(self, validations: int) -> None:
        super().__init__("val/loss", patience=validations)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"patience": self.patience})


class Interrupted(Exception):
    """The user asked the run to stop."""


class StopOnRequest(L.Callback):
    """Ctrl-C and SIGTERM end a run after the step under way, with a checkpoint of that step.

    A validation that is due after that step is done first. A second Ctrl-C does not wait. Raises
    Interrupted once the checkpoint is written.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, folder: Path) -> None:
        self.checkpoint = folder / LAST
        self.requested = False  # here
        self.agreed = False  # in any of the processes, which stop at the same step
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # only there may signals be set
            for number in self.SIGNALS:
                self.previous[number] = signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self.previous:
            signal.signal(*self.previous.popitem())

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.agreed = trainer.strategy.reduce_boolean_decision(self.requested, all=False)
        validation_follows = batch_idx + 1 == trainer.num_training_batches
        if self.agreed and ends_step(trainer, batch_idx) and not validation_follows:
            trainer.save_checkpoint(self.checkpoint)
            raise Interrupted

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if self.agreed:  # during the last step before the validation that has now been done
            raise Interrupted

    def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._restore()

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        self._restore()


def leave_on_sigterm(trainer: L.Trainer) -> None:
    """Has SIGTERM raise Interrupted where Lightning would handle it and StopOnRequest does not.

    That is while data are loaded before the first step, and in an evaluation. Lightning's own
    answer has all processes meet, at once, wherever they are: those that are about to meet
    elsewhere would then wait for each other for ever.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(number)  # the processes that this one has started
        raise Interrupted

    trainer._signal_connector._sigterm_notifier_fn = leave  # type: ignore


def ends_step(trainer: L.Trainer, batch_idx: int) -> bool:
    """Whether this batch is the last of those whose gradients are added up for a step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def measured(trainer: L.Trainer, prefix: str) -> dict[str, float]:
    """The metrics that the trainer has at hand of a split: "val/", "test/"."""
    metrics = trainer.callback_metrics
    return {name: float(metrics[name]) for name in metrics if name.startswith(prefix)}


def log(trainer: L.Trainer, metrics: dict[str, float]) -> None:
    """Gives metrics to all loggers, as those of the present step."""
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
