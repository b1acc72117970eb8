"""Do one run of a study: train it, measure it, and record a failure."""

import shutil
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout

from minitx.config.compose import compose
from minitx.config.schema import CompareConfig, Config, LoggerConfig
from minitx.errors import DISK_FULL, StoppedByUser, UserError, WriteError
from minitx.runs.atomic_write import write_checked_json
from minitx.runs.paths import LAST, check_links
from minitx.study.measure.machine import machine
from minitx.study.measure.measuring import measure
from minitx.study.measure.speed import measure_speed
from minitx.study.plan.manifest import PlannedRun, read_manifest
from minitx.study.plan.run_store import MEASURED, RunStore
from minitx.study.results.results import FAILED
from minitx.terminal.text import note
from minitx.training.checks import check_tracker
from minitx.training.environment import git_commit, quiet_libraries
from minitx.training.train import train

LOOK = 0.5  # seconds; others hold the lock briefly to see whether the run is busy


def do_run(asked: CompareConfig, folder: Path, key: str) -> None:
    """Train and measure the run with this key in the plan of the study in `folder`.

    Nothing is done twice. A failure is recorded in the run store and does not stop other runs.
    Raises StoppedByUser if the user stops the run, WriteError if the disk is full, and UserError
    for an unknown key, and for links out of the run's folder.
    """
    run = read_manifest(folder).run(key)
    store = RunStore(Path(asked.study.runs))
    check_links(store.folder(key), store.log(key), store.lock(key))
    try:
        with (
            FileLock(store.lock(key), timeout=LOOK),
            _log(store, key) as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            _do(asked, folder.name, run, store)
    except Timeout:  # another process does it
        return
    except StoppedByUser:
        raise
    except Exception as error:
        # With a full disk, the next run would fail as well.
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            file = error.filename or str(store.log(key))
            raise WriteError(error.errno, error.strerror, file) from error
        with _log(store, key) as log:
            traceback.print_exc(file=log)
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        store.record_failure(key, reason.splitlines()[0])


def _log(store: RunStore, key: str) -> TextIO:
    """Open the run's log, which takes any text in any locale."""
    return store.log(key).open("a", encoding="utf-8", errors="backslashreplace")


def _do(asked: CompareConfig, study: str, run: PlannedRun, store: RunStore) -> None:
    if store.done(run):  # another process was faster
        return
    began = time.monotonic()
    quiet_libraries()
    config = compose(*run.words)
    folder = store.folder(run.key)
    try:
        if asked.study.measures == "speed":
            found = measure_speed(config)
            here = machine(config.trainer.accelerator)
            del here["threads"]  # a setting of the run
            where = {"machine": here, "git_commit": git_commit()}
            write_checked_json(folder / MEASURED, found | where)
        else:
            config.logger = _logger(asked.logger, study, run)
            _check_tracker(config.logger)
            config.trainer.watch_attention = False
            _train(config, folder, store, run.key)
            if run.chosen:
                measure(folder, run.details, config.data)
    finally:
        with suppress(WriteError):  # it would replace another error
            store.add_seconds(run.key, time.monotonic() - began)
    store.forget_failure(run.key)


def _train(config: Config, folder: Path, store: RunStore, key: str) -> None:
    """Train the run, or resume it if it was stopped."""
    if store.trained(key):
        return
    config.run.dir = str(folder)
    # A failed run would fail again if it were resumed.
    if (folder / LAST).is_file() and not _failed(store, key):
        config.resume = str(folder)
        try:
            train(config, test=False)
        except StoppedByUser:
            raise
        except UserError as error:
            if _failed(store, key):
                raise
            # The checkpoint is damaged, or training was complete.
            note(f"starting again: {error}")
            config.resume = None
        else:
            return
    if folder.exists():  # it failed, or was stopped before its first checkpoint
        shutil.rmtree(folder)
    train(config, test=False)


def _logger(asked: LoggerConfig, study: str, run: PlannedRun) -> LoggerConfig:
    """Return the logger of a run: in the group of its study, and tagged with study and arm."""
    return replace(
        asked,
        group=asked.group or study,
        job_type="train" if run.chosen else "tune",
        tags=[*asked.tags, study, run.point.arm],
    )


def _check_tracker(logger: LoggerConfig) -> None:
    """Track the run offline if W&B, which worked when the study began, does not work now."""
    try:
        check_tracker(logger)
    except UserError as error:
        note(str(error))
        logger.mode = "offline"


def _failed(store: RunStore, key: str) -> bool:
    """Return whether training failed, for example because the loss was not finite."""
    return store.summary(key).get("status") == FAILED
