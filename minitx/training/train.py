"""One training: from a config to a run's folder."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from minitx.config.command_line import command_line
from minitx.config.compose import to_plain
from minitx.config.schema import Config
from minitx.data.module import StepDataModule
from minitx.errors import StoppedByUser, UserError
from minitx.models.budget import fit_width
from minitx.objectives.base import Objective
from minitx.runs.atomic_write import write_yaml
from minitx.runs.paths import AVERAGED, BEST, CONFIG, LAST, create_run_folder, find_checkpoint
from minitx.runs.run import Run, load, read_checkpoint
from minitx.tasks.open import open_task
from minitx.training.announce import announce
from minitx.training.averaging import MovingAverage, average_checkpoints
from minitx.training.callbacks import (
    Checkpoint,
    Clock,
    Interrupted,
    KeptCheckpoint,
    Patience,
    RecordMetrics,
    StopOnRequest,
    leave_on_sigterm,
    log,
    measured,
    output_callbacks,
)
from minitx.training.checks import check_training
from minitx.training.environment import keep_freed_memory
from minitx.training.hardware import check_hardware, check_shares, hardware, leave_process_group
from minitx.training.loggers import MetricsFile, make_tracker
from minitx.training.progress import TrainingProgress, fraction_done
from minitx.training.resume import checkpoint_to_resume
from minitx.training.summary import Summary
from minitx.training.warmup import within_the_run
from minitx.training.watch_attention import WatchAttention

Built = TypeVar("Built")


def train(config: Config, *, test: bool = True) -> Run:
    """Trains what the config says and returns the run, opened at its best checkpoint.

    With `test` it is measured on the test split at the end, where the corpus has one.
    With `config.resume` the run in that folder goes on as if it had never stopped.
    Raises UserError, before anything is written, for a config that cannot be trained.
    """
    check_training(config)
    check_hardware(config.trainer)
    task = open_task(config)
    build, budget = task.vocabulary.build, config.budget.parameters
    if budget is not None:
        config.model = _fitting(lambda: fit_width(config.model, build, budget))
    keep_freed_memory()
    torch.manual_seed(config.seed)
    model = _fitting(lambda: build(config.model))
    data = task.data()
    check_shares(data, config.trainer.devices)
    checkpoint = checkpoint_to_resume(config, task.store.fingerprint)
    folder = create_run_folder(config) if config.resume is None else Path(config.resume)
    # What is kept tells what the run is.
    optimizer = within_the_run(config)
    task.config = config = dataclasses.replace(config, optimizer=optimizer, resume=None)

    clock = Clock(config.trainer.max_minutes)
    whole = data.validation_fraction == 1
    final = [*([] if whole else ["val"]), *(["test"] if test else [])]
    shown = output_callbacks(task, folder)
    if config.trainer.watch_attention:
        shown.append(WatchAttention(folder, config, task.vocabulary, task.example))
    trainer = make_trainer(config, folder, clock, shown, final)
    objective = task.objective(model, lambda: fraction_done(trainer, clock))
    if config.trainer.compile:
        model.compile()  # in place, so that the weights keep their names
    facts = data.describe() | {"validation_fraction": round(data.validation_fraction, 4)}
    if trainer.is_global_zero:
        write_yaml(folder / CONFIG, objective.archive["config"])
        task.vocabulary.write(folder)
        (folder / AVERAGED).unlink(missing_ok=True)  # of a run that goes on
        announce(facts)
    summary = Summary(folder, config, model, task.store.fingerprint, facts, clock, trainer)
    summary.write("running")
    status, environment = "failed", dict(os.environ)
    trained = False
    try:
        with warnings.catch_warnings():
            _silence_advice()
            trainer.fit(objective, data, ckpt_path=checkpoint, weights_only=True)
            trained = True
            if whole:
                summary.val = MetricsFile(folder).best("val/loss")
            else:
                summary.val = _whole_val(trainer, objective, data, folder / BEST)
            summary.val |= _average_kept(trainer, objective, data, folder, summary.val["val/loss"])
            summary.write("running")
            if test and "test" in task.store.splits:
                best = find_checkpoint(folder)
                trainer.test(objective, data, ckpt_path=best, weights_only=True, verbose=False)
        status = "finished"
    except Interrupted:
        status = "interrupted"
        if trained:
            split = "test" if "test" in task.store.splits else "val"
            again = command_line("evaluate", f"run={folder}", f"split={split}")
            raise StoppedByUser(f"stopped after its last step; to measure it: {again}") from None
        raise StoppedByUser(_stopped(trainer.global_step, folder)) from None
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C again, which does not wait for the step
        status = "interrupted"
        raise
    finally:
        summary.write(status)
        _finish_wandb(status)
        leave_process_group(environment)
    return load(folder, trainer.strategy.root_device)


def make_trainer(
    config: Config,
    folder: Path,
    clock: Clock,
    shown: list[Callback],
    final: Sequence[str] = (),
) -> L.Trainer:
    """Lightning's trainer with everything minitx wants around the steps.

    `final` are the splits that are evaluated once it has trained.
    """
    settings = config.trainer
    ema = config.optimizer.ema
    callbacks: list[Callback] = [
        clock,
        RecordMetrics(settings.log_every, clock),
        TrainingProgress(clock, settings.val_every, final),
        *shown,
        *([] if ema is None else [MovingAverage(ema)]),  # behind those that look at the model
        StopOnRequest(folder),
        _checkpoint(folder / BEST, monitor="val/loss"),
        _checkpoint(folder / LAST),
    ]
    if settings.average is not None:
        callbacks.append(_kept(folder, settings.average, settings.average_of))
    if settings.patience is not None:
        callbacks.append(Patience(settings.patience))
    trackers = [MetricsFile(folder), make_tracker(config.logger, folder, to_plain(config))]
    trainer = L.Trainer(
        **hardware(settings),
        max_steps=settings.max_steps or -1,
        max_epochs=-1,
        accumulate_grad_batches=settings.accumulate,
        reload_dataloaders_every_n_epochs=1,  # an epoch begins where the step counter stands
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=[tracker for tracker in trackers if tracker is not None],
        callbacks=callbacks,
        log_every_n_steps=1,  # RecordMetrics decides
        enable_model_summary=False,
        default_root_dir=folder,
    )
    leave_on_sigterm(trainer)
    return trainer


def _stopped(step: int, folder: Path) -> str:
    """What is kept of a run that was stopped at a step, and how it goes on."""
    last = folder / LAST
    if not last.is_file():
        return "stopped before its first checkpoint, so start it again"
    kept = read_checkpoint(last)["global_step"]
    lost = "nothing is lost" if kept == step else f"its last checkpoint is of step {kept:,}"
    again = command_line("train", f"resume={folder}")
    return f"stopped at step {step:,}, {lost}; to go on: {again}"


def _checkpoint(file: Path, monitor: str | None = None) -> Checkpoint:
    return Checkpoint(
        dirpath=file.parent,
        filename=file.stem,
        monitor=monitor,
        save_top_k=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _kept(folder: Path, number: int, which: str) -> KeptCheckpoint:
    return KeptCheckpoint(
        dirpath=folder / LAST.parent,
        filename="kept-{step}",
        monitor="val/loss" if which == "best" else "step",
        mode="min" if which == "best" else "max",
        save_top_k=number,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _whole_val(
    trainer: L.Trainer, objective: Objective, data: StepDataModule, checkpoint: Path
) -> dict[str, float]:
    """The metrics of a checkpoint on all of val."""
    trainer.validate(objective, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    return measured(trainer, "val/")


def _average_kept(
    trainer: L.Trainer, objective: Objective, data: StepDataModule, folder: Path, best: float
) -> dict[str, float]:
    """Average the weights of the kept checkpoints, if there are any, and keep a better average.

    `best` is the loss of the best checkpoint on all of val. Return the metrics of the average there
    if it is better, else none. They belong to no step: a run that goes on forgets the average.
    """
    files = [
        Path(path)
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, KeptCheckpoint)
        for path in callback.best_k_models
    ]
    if len(files) < 2:
        return {}
    averaged = folder / AVERAGED
    tried = averaged.with_suffix(".tried")  # not to be opened before it has proved better
    if trainer.is_global_zero:
        average_checkpoints(files, tried)
    trainer.strategy.barrier()
    try:
        metrics = _whole_val(trainer, objective, data, tried)
        log(trainer, {"averaged/loss": metrics["val/loss"]})
        better = metrics["val/loss"] < best
        if better and trainer.is_global_zero:
            tried.rename(averaged)
    finally:
        if trainer.is_global_zero:
            tried.unlink(missing_ok=True)
    trainer.strategy.barrier()
    return metrics if better else {}


def _fitting(build: Callable[[], Built]) -> Built:
    """The border where the config's numbers meet the constructors that know what fits."""
    try:
        return build()
    except ValueError as error:
        raise UserError(str(error)) from error


def _finish_wandb(status: str) -> None:
    if "wandb" in sys.modules:
        import wandb

        # Else the next job of a multirun would write into this run.
        wandb.finish(exit_code=0 if status == "finished" else 1)


def _silence_advice() -> None:
    """Lightning advises on what is meant, on what was done (torchmetrics syncs), and on itself."""
    for advice in (
        "does not have many workers",
        "exists and is not empty",
        "LeafSpec",
        "sync_dist",
        "not resumable",
    ):
        warnings.filterwarnings("ignore", message=f".*{advice}.*")
