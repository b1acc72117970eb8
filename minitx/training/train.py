"""Train a run: from a config to a run's folder."""

import dataclasses
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from minitx.config.command_line import command_line
from minitx.config.paths import full_paths
from minitx.config.schema import Config
from minitx.data.module import StepDataModule
from minitx.errors import UserError, WriteError, enough_memory
from minitx.models.budget import sketch, within_budget
from minitx.objectives.base import Objective
from minitx.runs.atomic_write import remove_temporary_files, write_yaml
from minitx.runs.paths import AVERAGED, BEST, CONFIG, LAST, create_run_folder, find_checkpoint
from minitx.tasks.base import Task
from minitx.tasks.open import open_task
from minitx.tasks.run import Run, load
from minitx.training.announce import announce
from minitx.training.averaging import MovingAverage, average_kept, validate_whole
from minitx.training.callbacks import Clock, RecordMetrics
from minitx.training.checkpoints import (
    CheckpointFiles,
    Patience,
    checkpoint,
    kept_checkpoints,
)
from minitx.training.checks import check_training
from minitx.training.environment import keep_freed_memory, quiet_libraries
from minitx.training.hardware import (
    check_batch,
    check_hardware,
    check_shares,
    hardware,
    leave_process_group,
)
from minitx.training.kernels import computing
from minitx.training.limits import Goal, ended_by, states_of
from minitx.training.loggers import MetricsFile
from minitx.training.outputs import output_callbacks
from minitx.training.progress import TrainingProgress, fraction_done
from minitx.training.resume import Resumption, resumption
from minitx.training.stopping import StopOnRequest, end_other_processes, stoppable
from minitx.training.summary import Summary
from minitx.training.trackers import finish_trackers, make_tracker
from minitx.training.wandb_runs import group_of_seeds
from minitx.training.warmup import within_the_run
from minitx.training.watch_attention import WatchAttention

Built = TypeVar("Built")

COPIES = 3  # of the weights: themselves, gradients, and one moment of the optimizer or more
LESS_MEMORY = (
    "reduce the batch (data.batch_size or data.batch_tokens), model.context or the model's size"
)


def train(config: Config, *, test: bool = True) -> Run:
    """Train a run and return it, opened at its best checkpoint.

    With `test`, the run is measured on the test split at the end, if the corpus has one. With
    `config.resume`, the run in that folder continues as if it had never stopped. Raises
    StoppedByUser if the user stops it, WriteError if a file of the run cannot be written, and
    UserError, before anything is written, for a config that cannot be trained.
    """
    with enough_memory(LESS_MEMORY):
        training = prepare(config, test)
    try:
        with (
            _clean_process(training.trainer),
            training.summary,
            stoppable(training.trainer),
            enough_memory(LESS_MEMORY),
            computing(config.trainer),
        ):
            fit(training)
            finish(training)
    except WriteError as error:
        again = command_line("train", f"resume={training.folder}")
        raise error.advising(f"free some space, then go on: {again}") from error
    return load(training.folder, training.trainer.strategy.root_device)


@dataclass
class Training:
    """What `prepare` makes of a config."""

    folder: Path
    task: Task
    data: StepDataModule
    objective: Objective
    trainer: L.Trainer
    resumed: Resumption
    summary: Summary
    splits: list[str]  # splits to evaluate in full after the fit


def prepare(config: Config, test: bool) -> Training:
    """Check the config, open the corpus, build the model and the trainer, and make the folder."""
    quiet_libraries()
    check_training(full_paths(config))
    check_hardware(config.trainer)
    task = open_task(config)
    build = task.vocabulary.build
    fitted = _checked_build(lambda: within_budget(config.model, config.budget, build))
    config = dataclasses.replace(config, model=fitted)
    copies = COPIES if config.trainer.accelerator == "cpu" else 1
    check_batch(config, _checked_build(lambda: sketch(lambda: build(config.model), copies)))
    keep_freed_memory()
    torch.manual_seed(config.seed)
    model = _checked_build(lambda: build(config.model))
    data = task.data()
    check_shares(data, config.trainer.devices)
    resumed = resumption(config, task.store.fingerprint)
    new = config.resume is None
    folder = Path(config.resume) if config.resume is not None else create_run_folder(config)
    # The run's config.yaml holds what the run is, not how this part of it was started.
    optimizer = within_the_run(config)
    task.config = config = dataclasses.replace(config, optimizer=optimizer, resume=None)
    if new and config.logger.name == "wandb" and config.logger.group is None:
        group = group_of_seeds(config, task.store.fingerprint)
        config.logger = dataclasses.replace(config.logger, group=group)

    splits = ["val"] if data.validation_fraction < 1 else []
    splits += ["test"] if test and "test" in task.store.splits else []
    clock = Clock(config.trainer.max_minutes)
    outputs = output_callbacks(task, folder)
    if config.trainer.watch_attention:
        outputs.append(WatchAttention(folder, config, task.vocabulary, task.example))
    trainer = make_trainer(config, folder, clock, outputs, splits)
    objective = task.objective(model, lambda: fraction_done(trainer, clock))
    if config.trainer.compile:
        model.compile()  # in place, so that the weights keep their names
    facts = data.describe() | {"validation_fraction": round(data.validation_fraction, 4)}
    if trainer.is_global_zero:
        _write_first_files(folder, objective.archive["config"], task, new=new)
        announce(facts, task.notes())
    summary = Summary(folder, config, model, task.store.fingerprint, facts, clock, trainer)
    return Training(folder, task, data, objective, trainer, resumed, summary, splits)


def _write_first_files(folder: Path, config: dict[str, Any], task: Task, *, new: bool) -> None:
    """Write what a run's folder has before the first step, or remove a new folder again."""
    try:
        write_yaml(folder / CONFIG, config)
        task.vocabulary.write(folder)
    except WriteError as error:
        if not new:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise error.advising("free some space, or choose another place with run.dir=") from error
    (folder / AVERAGED).unlink(missing_ok=True)  # a run that continues averages again
    remove_temporary_files(folder)


def fit(training: Training) -> None:
    """Train, unless only the measurements are left."""
    trainer, resumed = training.trainer, training.resumed
    if resumed.trained_steps is not None:  # another limit than steps may have ended the training
        trainer.fit_loop.epoch_loop.max_steps = resumed.trained_steps
    trainer.fit(training.objective, training.data, ckpt_path=resumed.checkpoint, weights_only=True)
    training.summary.ended_by = ended_by(
        trainer.global_step, states_of(trainer), training.task.config
    )


def finish(training: Training) -> None:
    """Average the kept checkpoints, and measure the best one on all of val and on test."""
    trainer, objective, data = training.trainer, training.objective, training.data
    folder, summary = training.folder, training.summary
    if "val" in training.splits:
        summary.val = validate_whole(trainer, objective, data, folder / BEST)
    else:
        summary.val = summary.table.best("val/loss")
    summary.val |= average_kept(trainer, objective, data, folder, summary.val["val/loss"])
    summary.write("running")
    if "test" in training.splits:
        best = find_checkpoint(folder)
        trainer.test(objective, data, ckpt_path=best, weights_only=True, verbose=False)


@contextmanager
def _clean_process(trainer: L.Trainer) -> Iterator[None]:
    """Silence Lightning's advice, and leave nothing behind for the next run of this process."""
    environment, exit_code = dict(os.environ), 1
    try:
        with warnings.catch_warnings():
            _silence_advice()
            yield
        exit_code = 0
    except UserError:
        end_other_processes(trainer)  # they would wait for this one, and end with a traceback
        raise
    finally:
        trainer.fit_loop.teardown()  # its workers, which Lightning leaves if a validation fails
        finish_trackers(trainer, exit_code)
        leave_process_group(environment)


def make_trainer(
    config: Config,
    folder: Path,
    clock: Clock,
    outputs: list[Callback],
    final: Sequence[str] = (),
) -> L.Trainer:
    """Return Lightning's trainer with all callbacks and loggers of a run.

    `final` are the splits that are evaluated after the fit.
    """
    settings = config.trainer
    ema = config.optimizer.ema
    callbacks: list[Callback] = [
        clock,
        RecordMetrics(settings.log_every, clock),
        TrainingProgress(clock, settings.val_every, final),
        *outputs,
        *([] if ema is None else [MovingAverage(ema)]),  # after those that look at the model
        StopOnRequest(folder),
    ]
    if settings.patience is not None:
        callbacks.append(Patience(settings.patience))
    if settings.goal is not None:
        callbacks.append(Goal(config))
    if settings.average is not None:
        callbacks.append(kept_checkpoints(folder, settings.average, settings.average_of))
    callbacks.append(checkpoint(folder / BEST, monitor="val/loss"))
    callbacks.append(checkpoint(folder / LAST))  # last: it says which of the others are there
    trackers = [MetricsFile(folder), make_tracker(config, folder)]
    return L.Trainer(
        **hardware(settings),
        max_steps=settings.max_steps or -1,
        max_epochs=-1,
        accumulate_grad_batches=settings.accumulate,
        reload_dataloaders_every_n_epochs=1,  # an epoch starts at the current step
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=[tracker for tracker in trackers if tracker is not None],
        callbacks=callbacks,
        plugins=[CheckpointFiles()],
        log_every_n_steps=1,  # RecordMetrics decides
        enable_model_summary=False,
        default_root_dir=folder,
    )


def _checked_build(build: Callable[[], Built]) -> Built:
    """Build something. Raises UserError for numbers that the constructor rejects."""
    try:
        return build()
    except ValueError as error:
        raise UserError(str(error)) from error


def _silence_advice() -> None:
    """Ignore Lightning's warnings about what is intended or already done."""
    for advice in (
        "does not have many workers",
        "This DataLoader will create",  # more than there are cores
        "exists and is not empty",
        "LeafSpec",
        "sync_dist",
        "not resumable",
        "across ranks is zero",  # only the measurements are left
        "callbacks used to create the checkpoint",  # a resumed run without its goal or patience
    ):
        warnings.filterwarnings("ignore", message=f".*{advice}.*")
