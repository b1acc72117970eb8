"""W&B and TensorBoard: a failure of either is reported once, and never stops a run."""

import atexit
import logging
import os
import shutil
import sys
import tempfile
import textwrap
import threading
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from minitx.config.schema import Config
from minitx.runs.paths import METRICS
from minitx.terminal.text import note
from minitx.training import wandb_runs

PATIENCE = 300.0  # seconds that any call of a tracker may take
LEAVING = 5.0  # seconds that W&B's own process may take to end

Result = TypeVar("Result")


class Tracker(Logger):
    """The tracker that the config names in addition to metrics.csv, made when it is first used.

    Every call is made in a thread, and is abandoned if it takes longer than PATIENCE. The first
    one that fails is reported in one line, and no other follows. An online run that cannot be
    started is tracked offline.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__()
        self.config, self.folder = config, folder
        self.title = {"wandb": "W&B", "tensorboard": "TensorBoard"}[self.name]
        self.logger: Logger | None = None
        self.failed = False

    @property
    def name(self) -> str:
        return self.config.logger.name

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._call(lambda logger: logger.log_metrics(metrics, step))

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Do nothing: W&B gets the config when it is started."""

    def log_text(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Log a table of text, if the tracker has tables."""
        if self.name == "wandb":
            self._call(lambda logger: logger.log_text(name, columns, rows))

    def log_image(self, name: str, picture: Path) -> None:
        """Log a picture, if the tracker is W&B."""
        if self.name == "wandb":
            self._call(lambda logger: logger.log_image(name, [str(picture)]))

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self._call(lambda logger: logger.after_save_checkpoint(checkpoint_callback))

    def save(self) -> None:
        self._call(lambda logger: logger.save())

    def finalize(self, status: str) -> None:
        """End a fit, a validation or a test: others of the same run may follow."""
        self._call(lambda logger: logger.finalize(status))

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        """End the run, whose process ends with this code."""
        if self.name == "wandb" and getattr(self.logger, "_experiment", None) is not None:
            self._call(
                lambda logger: wandb_runs.finish(logger, self.config, self.folder, exit_code)
            )
        if self.name == "wandb" and self.failed:
            disconnect_wandb()

    @rank_zero_only
    def _call(self, action: Callable[[Any], object]) -> None:
        if self.failed:
            return
        try:
            within(PATIENCE, lambda: action(self._opened()))
        except Exception as error:
            self.failed = True
            self._report(f"failed ({reason(error)}): the run goes on without it")

    def _opened(self) -> Logger:
        if self.logger is None and self.name == "wandb":
            self.logger = self._open_wandb()
        elif self.logger is None:
            _keep_quiet_in_thread("tensorboard")
            self.logger = TensorBoardLogger(self.folder, name="tensorboard", version="")
        return self.logger

    def _open_wandb(self) -> Logger:
        prepare_wandb()
        if self.config.logger.mode == "offline":
            return wandb_runs.start(self.config, "offline", self.folder)
        try:
            logger = wandb_runs.start(self.config, "online", self.folder)
        except Exception as error:
            self._report(f"is offline ({reason(error)}): `wandb sync` uploads the run later")
            disconnect_wandb()  # its process would refuse another run with this id
            return wandb_runs.start(self.config, "offline", self.folder)
        note(f"{self.title}: {logger.experiment.url}")
        return logger

    def _report(self, what: str) -> None:
        every = f"{self.folder / METRICS} has every metric"
        note(f"{self.title} {what}; {every}")


def make_tracker(config: Config, folder: Path) -> Tracker | None:
    """Return the tracker that the config names in addition to metrics.csv, or None."""
    return Tracker(config, folder) if config.logger.name in ("wandb", "tensorboard") else None


def log_text(trainer: L.Trainer, name: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Pass a table of text to the trackers of a run."""
    for tracker in _trackers(trainer):
        tracker.log_text(name, columns, rows)


def log_image(trainer: L.Trainer, name: str, picture: Path) -> None:
    """Pass a picture to the trackers of a run."""
    for tracker in _trackers(trainer):
        tracker.log_image(name, picture)


def finish_trackers(trainer: L.Trainer, exit_code: int) -> None:
    """End what the trackers of a run have begun. The run's process ends with this code."""
    for tracker in _trackers(trainer):
        tracker.finish(exit_code)


def _trackers(trainer: L.Trainer) -> list[Tracker]:
    return [logger for logger in trainer.loggers if isinstance(logger, Tracker)]


def prepare_wandb() -> None:
    """Give W&B a temporary folder for its own files if they cannot be written, and no log.

    It prints a traceback for each line that it cannot log, for example because the disk is full.
    """
    import wandb

    for variable, place in (
        ("WANDB_CACHE_DIR", wandb.env.get_cache_dir()),
        ("WANDB_DATA_DIR", wandb.env.get_data_dir()),
    ):
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            writable = os.access(place, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            os.environ[variable] = temporary = tempfile.mkdtemp(prefix="minitx-")
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    logging.getLogger("wandb").setLevel(logging.CRITICAL)


def disconnect_wandb() -> None:
    """Leave W&B's process, which would otherwise be waited for when this process ends.

    The next run of this process starts another one.
    """
    wandb = sys.modules.get("wandb")
    if wandb is not None:
        with suppress(Exception):  # that it failed has been reported
            within(LEAVING, wandb.teardown)
        os.environ.pop(wandb.env.SERVICE, None)


def within(seconds: float, action: Callable[[], Result]) -> Result:
    """Return what an action returns. Raises TimeoutError after `seconds`, and abandons it."""
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(action())
        except SystemExit as error:  # not of this process
            outcome.set_exception(RuntimeError(f"exit status {error.code}"))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no answer within {seconds:g} seconds") from None


def reason(error: BaseException) -> str:
    """Return the message of an error, or else its name, as one short line.

    If an OSError, such as a full disk, caused the error, it is its message.
    """
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    told = next((cause for cause in causes if isinstance(cause, OSError)), error)
    return textwrap.shorten(str(told) or type(told).__name__, 300, placeholder=" ...")


@cache
def _keep_quiet_in_thread(package: str) -> None:
    """Print no tracebacks of the threads of a package, which also raises them in its next call."""
    previous = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not type(arguments.thread).__module__.startswith(package):
            previous(arguments)

    threading.excepthook = hook
