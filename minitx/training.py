"""One training: from a config to a run's folder."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from minitx.callbacks import (
    Checkpoint,
    Clock,
    Interrupted,
    Patience,
    RecordMetrics,
    SampleText,
    StopOnRequest,
)
from minitx.composition import to_plain
from minitx.config import Config
from minitx.corpus import open_store
from minitx.data.module import LanguageModelingData
from minitx.data.token_store import TokenStore
from minitx.errors import StoppedByUser, UserError
from minitx.folder import (
    BEST,
    CONFIG,
    LAST,
    TOKENIZER,
    create_run_folder,
    write_atomically,
    write_yaml,
)
from minitx.limits import check_hardware, check_limits, check_shares, hardware, leave_process_group
from minitx.models.budget import fit_width
from minitx.models.build import language_model
from minitx.models.language_model import LanguageModel
from minitx.progress import TrainingProgress, fraction_done
from minitx.resuming import checkpoint_to_resume
from minitx.run import Run, load
from minitx.summary import Summary
from minitx.tasks.language_modeling import LanguageModeling
from minitx.tracking import MetricsFile, check_tracker, make_tracker

Built = TypeVar("Built")


def train(config: Config) -> Run:
    """Trains what the config says and returns the run, opened at its best checkpoint.

    With `config.resume` the run in that folder goes on as if it had never stopped.
    Raises UserError, before anything is written, for a config that cannot be trained.
    """
    check_limits(config)
    check_hardware(config.trainer)
    check_tracker(config.logger)
    store = open_store(config)
    build = partial(language_model, vocab_size=store.tokenizer.vocab_size)
    budget = config.budget.parameters
    if budget is not None:
        config.model = _fitting(lambda: fit_width(config.model, build, budget))
    torch.manual_seed(config.seed)
    model = _fitting(lambda: build(config.model))
    data = make_data(config, store)
    check_shares(data, config)
    checkpoint = checkpoint_to_resume(config, store)
    folder = create_run_folder(config) if config.resume is None else Path(config.resume)
    config = dataclasses.replace(config, resume=None)  # what is kept tells what the run is

    clock = Clock(config.trainer.max_minutes)
    trainer = make_trainer(config, folder, clock, store)
    task = make_task(config, model, store, lambda: fraction_done(trainer, clock))
    if config.trainer.compile:
        model.compile()  # in place, so that the weights keep their names
    if trainer.is_global_zero:
        write_yaml(folder / CONFIG, task.archive["config"])
        write_atomically(folder / TOKENIZER, task.archive["tokenizer"])
    summary = Summary(folder, config, model, store, clock, trainer)
    summary.write("running")
    status, environment = "failed", dict(os.environ)
    try:
        with warnings.catch_warnings():
            _silence_advice()
            trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)
            summary.write("running")
            if "test" in store.splits:
                trainer.test(task, data, ckpt_path=folder / BEST, weights_only=True, verbose=False)
        status = "finished"
    except Interrupted:
        status = "interrupted"
        raise StoppedByUser(
            f"stopped at step {trainer.global_step:,}, nothing is lost; to go on: "
            f"python scripts/train.py resume={folder}"
        ) from None
    finally:
        summary.write(status)
        _finish_wandb(status)
        leave_process_group(environment)
    return load(folder, trainer.strategy.root_device)


def make_task(
    config: Config, model: LanguageModel, store: TokenStore, progress: Callable[[], float]
) -> LanguageModeling:
    """The objective over the model, with all that a checkpoint needs to be complete."""
    return LanguageModeling(
        model,
        config.optimizer,
        torch.from_numpy(store.tokenizer.byte_lengths()),
        config.seed,
        progress,
        archive={
            "config": to_plain(config),
            "tokenizer": store.tokenizer.to_json(),
            "data_fingerprint": store.fingerprint,
        },
    )


def make_data(config: Config, store: TokenStore) -> LanguageModelingData:
    """Batches of the store's tokens, as the config wants them."""
    return LanguageModelingData(
        store,
        config.model.context,
        config.data.batch_size,
        config.seed,
        steps_an_epoch=config.trainer.val_every,
        accumulate=config.trainer.accumulate,
        workers=config.data.workers,
    )


def make_trainer(config: Config, folder: Path, clock: Clock, store: TokenStore) -> L.Trainer:
    """Lightning's trainer with everything minitx wants around the steps."""
    settings = config.trainer
    callbacks: list[Callback] = [
        clock,
        RecordMetrics(settings.log_every, clock),
        TrainingProgress(clock),
        SampleText(folder, store, config.seed),
        StopOnRequest(folder),
        _checkpoint(folder / BEST, monitor="val/loss"),
        _checkpoint(folder / LAST),
    ]
    if settings.patience is not None:
        callbacks.append(Patience(settings.patience))
    trackers = [MetricsFile(folder), make_tracker(config.logger, folder, to_plain(config))]
    return L.Trainer(
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


def _checkpoint(file: Path, monitor: str | None = None) -> Checkpoint:
    return Checkpoint(
        dirpath=file.parent,
        filename=file.stem,
        monitor=monitor,
        save_top_k=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


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
