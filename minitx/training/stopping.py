"""End a run early when the user asks for it, with a checkpoint."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import STEP_OUTPUT

from minitx.runs.paths import LAST
from minitx.training.callbacks import ends_step


class Interrupted(Exception):
    """The user asked the run to stop."""


class StopOnRequest(L.Callback):
    """End a run on Ctrl-C or SIGTERM after the current step, with a checkpoint of that step.

    A validation that is due after that step is done first. A second Ctrl-C does not wait. Raises
    Interrupted when the checkpoint is written.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, folder: Path) -> None:
        self.checkpoint = folder / LAST
        self.requested = False  # whether this process got a signal
        self.agreed = False  # whether any process did; all processes stop at the same step
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # signals can only be set there
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
    """Let SIGTERM raise Interrupted when StopOnRequest does not handle it.

    That is before the first step, and in an evaluation. Lightning's own handler synchronises all
    processes at once. Processes that are about to synchronise elsewhere would wait for ever.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(number)  # the processes that this one has started
        raise Interrupted

    trainer._signal_connector._sigterm_notifier_fn = leave  # type: ignore
