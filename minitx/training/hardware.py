"""Check what this machine can train, before anything is written."""

import os
import warnings
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import Accelerator, CPUAccelerator, MPSAccelerator
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import nn

from minitx.config.schema import Config, TrainerConfig
from minitx.data.module import StepDataModule
from minitx.errors import UserError, short_reason
from minitx.models.budget import machine_memory

# Precisions that Lightning would replace with another, or that fail when the model is moved.
NOT_ON: dict[type[Accelerator], tuple[str, str]] = {
    CPUAccelerator: ("16-mixed", "bf16-mixed or 32-true"),
    MPSAccelerator: ("64-true", "32-true"),
}


def check_shares(data: StepDataModule, devices: int) -> None:
    """Refuse an evaluation in which a device would have nothing to do. Raises UserError."""
    for split, shares in data.evaluation.items():
        if len(shares) < devices:
            raise UserError(
                f"the {split} split makes {len(shares)} windows or batches, too few for "
                f"trainer.devices={devices}: give more text, or fewer devices"
            )


def check_batch(config: Config, model: nn.Module) -> None:
    """Refuse a batch of windows that cannot fit into this machine's memory. Raises UserError.

    A batch needs more than what is counted here: its ids, an output of each layer, and those of the
    linear maps in half precision.
    """
    size, sizes = config.data.batch_size, config.model
    if size is None or config.trainer.accelerator != "cpu":
        return
    mapped = sum(part.out_features for part in model.modules() if isinstance(part, nn.Linear))
    per_token = 8 + 4 * sizes.dim * sizes.layers + 2 * mapped
    needed = size // config.trainer.devices * sizes.context * per_token
    memory = machine_memory()
    if needed > memory:
        raise UserError(
            f"data.batch_size={size}: a batch needs at least {needed / 1e9:,.0f} GB, and this "
            f"machine has {memory / 1e9:,.0f} GB; make it smaller, or the model"
        )


def hardware(settings: TrainerConfig) -> dict[str, Any]:
    """Return the options of Lightning's trainer that concern the machine."""
    return {
        "accelerator": settings.accelerator,
        "devices": settings.devices,
        "strategy": settings.strategy,
        "precision": settings.precision,
    }


def check_hardware(settings: TrainerConfig) -> None:
    """Refuse what this machine, or Lightning, cannot do. Raises UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is refused below
            trainer = L.Trainer(**hardware(settings), logger=False, enable_checkpointing=False)
    except (
        ValueError,
        TypeError,
        RuntimeError,
        ImportError,
        MisconfigurationException,
    ) as error:
        asked = ", ".join(f"trainer.{name}={value}" for name, value in hardware(settings).items())
        raise UserError(f"{asked}: {short_reason(error)}") from error
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy={settings.strategy} trains in copies of this process, which cannot "
            "return the run: use trainer.strategy=ddp"
        )
    for accelerator, (precision, instead) in NOT_ON.items():
        if isinstance(trainer.accelerator, accelerator) and settings.precision == precision:
            raise UserError(
                f"trainer.precision={precision} is not available on {accelerator.name()}: use "
                f"trainer.precision={instead}"
            )


def leave_process_group(environment: dict[str, str]) -> None:
    """Leave the process group that Lightning made: the next job of a multirun needs its own.

    Variables in which Lightning describes the processes are set back to those of `environment`.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        os.environ.pop(name, None)
        if name in environment:
            os.environ[name] = environment[name]
