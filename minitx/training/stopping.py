"""End a run early when the user asks for it, with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import STEP_OUTPUT

from minitx.config.command_line import command_line
from minitx.errors import StoppedByUser
from minitx.runs.paths import LAST
from minitx.runs.run import read_checkpoint
from minitx.training.callbacks import ends_step


class Interrupted(BaseException):
    """The user asked the run to stop.

    It is not an Exception, so that code that handles failures does not handle it.
    """


class StopOnRequest(L.Callback):
    """End a run on Ctrl-C, SIGTERM, SIGHUP, which a terminal sends when it is closed, or SIGUSR2.

    SLURM sends SIGUSR2 to a job of `hydra/launcher=submitit_slurm` shortly before its time is over.

    During training, the run ends after the current step, with a checkpoint of that step. A
    validation that is due after that step is done first. Before the first step, after the last one
    and on a second signal, the run ends at once. It ends with Interrupted. Signals are handled
    within `stoppable`.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stepping = False  # whether the run is between its first step and its last
        self.trained = False
        self.requested = False  # whether this process got a signal
        self.agreed = False  # whether any process did; all processes stop at the same step
        self.previous: dict[int, Any] = {}
        self.launcher: Any = None

    def handle_signals(self, trainer: L.Trainer) -> None:
        """Handle signals until `restore`."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals can only be set there
        # Lightning's own handler synchronises all processes at once. Processes that are about to
        # synchronise elsewhere would wait forever. Lightning calls the handler that it finds next.
        trainer._signal_connector._sigterm_notifier_fn = lambda *signal: None  # type: ignore
        self.launcher = trainer.strategy.launcher
        for number in self.SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self.previous[number] = signal.getsignal(number)
        # Python runs no handler while processes wait for each other to start, so signals end them.
        self._set_handlers(self._handle if self.launcher is None else signal.SIG_DFL)

    def restore(self) -> None:
        """Restore the previous handlers of the signals."""
        while self.previous:
            signal.signal(*self.previous.popitem())

    def _set_handlers(self, handler: Any) -> None:
        for number in self.previous:
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.stepping and not self.requested:
            self.requested = True
            return
        self.restore()
        if self.launcher is not None:
            self.launcher.kill(signal.SIGKILL)  # the processes that this one has started
        raise Interrupted

    def setup(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        self._set_handlers(self._handle)  # all processes have started

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.stepping = True

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
            trainer.save_checkpoint(self.folder / LAST)
            raise Interrupted

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if self.agreed:  # during the last step before the validation that has now been done
            raise Interrupted

    def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
        self.stepping = False

    def on_exception(self, trainer: L.Trainer, *args: Any) -> None:
        self.stepping = False

    def on_fit_end(self, trainer: L.Trainer, *args: Any) -> None:
        self.trained = True


@contextmanager
def stoppable(trainer: L.Trainer) -> Iterator[None]:
    """Let signals stop a run, as its `StopOnRequest` describes. Raises StoppedByUser then."""
    (stop,) = (each for each in trainer.callbacks if isinstance(each, StopOnRequest))  # type: ignore
    stop.handle_signals(trainer)
    try:
        yield
    except Interrupted:
        if stop.launcher is not None:
            stop.launcher.procs.clear()  # Lightning would kill this process because they ended
        raise StoppedByUser(_kept(trainer.global_step, stop)) from None
    finally:
        stop.restore()


def end_other_processes(trainer: L.Trainer) -> None:
    """End the processes that Lightning has started for this run, if there are any."""
    launcher: Any = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(signal.SIGKILL)
        launcher.procs.clear()  # Lightning would kill this process because they ended


def _kept(step: int, stop: StopOnRequest) -> str:
    """Say what is kept of a run that was stopped at a step, and how to resume it."""
    again = command_line("train", f"resume={stop.folder}")
    last = stop.folder / LAST
    if not last.is_file():
        return f"stopped before its first checkpoint; to start again: {again}"
    if stop.trained:
        return f"stopped after its last step; to measure it: {again}"
    kept = read_checkpoint(last)["global_step"]
    lost = "nothing is lost" if kept == step else f"its last checkpoint is of step {kept:,}"
    return f"stopped at step {step:,}, {lost}; to go on: {again}"
