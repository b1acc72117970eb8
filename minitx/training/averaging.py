"""Averages of weights: a moving one during training, and one over kept checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from minitx.data.module import StepDataModule
from minitx.errors import UserError
from minitx.objectives.base import Objective
from minitx.runs.paths import AVERAGED
from minitx.runs.run import read_checkpoint
from minitx.training.callbacks import log, measured
from minitx.training.checkpoints import KeptCheckpoint, save_checkpoint

# The weights that the optimizer updates, in a checkpoint whose `state_dict` holds their average.
# Lightning's own WeightAveraging uses the same name.
RAW = "current_model_state"

# What only a resumed training reads. `Objective.on_load_checkpoint` reads `loops` before a test as
# well.
ONLY_TO_RESUME = ("optimizer_states", "lr_schedulers", "callbacks", RAW)


class MovingAverage(L.Callback):
    """Keep an exponential moving average of the weights, which is validated, kept and tested.

    After each optimizer step, average <- decay_n * average + (1 - decay_n) * weights, where
    decay_n = min(decay, (1 + n) / (10 + n)) and n is the number of updates before. The weights of
    the beginning, far from the final ones, are therefore soon forgotten (`num_updates` of
    TensorFlow's tf.train.ExponentialMovingAverage). The average starts as the weights at the start
    of the training, or of the resumption that first has this callback. Buffers are not averaged.

    - A validation sees the average, until the `on_validation_end` of this callback.
    - A checkpoint has the average as its `state_dict`, and the weights themselves under
      `current_model_state`, from which a resumed training continues.
    - After the fit, the module holds the average.

    This callback must come after those that read the model in `on_validation_end` (WriteSamples),
    and before those that save a checkpoint in `on_train_batch_end` (StopOnRequest). Every process
    must hold all the weights: they may not be sharded.

    Lightning's WeightAveraging is not used: it tests the weights themselves instead of the average,
    shows them to `on_validation_end`, and has no warm-up.
    """

    def __init__(self, decay: float) -> None:
        """decay: the fraction of the average that a step keeps.

        Raises ValueError outside [0, 1).
        """
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay} is not in [0, 1)")
        self.decay = decay
        self.updates = 0
        self.step = 0  # of the latest update
        self.average: list[Tensor] = []  # in the order of the module's parameters(); empty: no fit
        self.raw: list[Tensor] = []  # the weights themselves, while the module holds the average

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.updates, self.average, self.raw = 0, [], []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not earlier: only now are the weights on their device, in their number format.
        weights = list(pl_module.parameters())
        start = self.average or weights  # those of a checkpoint
        self.average = [
            # A step changes a weight by less than bfloat16 resolves, so the average has more bits.
            value.detach().to(weight.device, _at_least_float32(weight), copy=True)
            for value, weight in zip(start, weights, strict=True)
        ]
        self.step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == self.step:  # gradients are still being added up
            return
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = [
            weight.detach().to(value.dtype)
            for value, weight in zip(self.average, pl_module.parameters(), strict=True)
        ]
        get_ema_multi_avg_fn(decay)(self.average, weights, self.updates)
        self.updates += 1
        self.step = trainer.global_step

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._show_average(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.raw:
            _assign(pl_module, self.raw)
            self.raw = []

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._show_average(pl_module)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self.average:
            return
        state, weights = checkpoint["state_dict"], list(pl_module.parameters())
        for key, values in ((RAW, self.raw or weights), ("state_dict", self.average)):
            value_of = dict(zip(weights, values, strict=True))
            # A weight that two modules share has two names.
            names = pl_module.named_parameters(remove_duplicate=False)
            checkpoint[key] = state | {name: value_of[weight].detach() for name, weight in names}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # A test loads the average, as the `state_dict`, and is done.
        if trainer.training and RAW in checkpoint:
            self.average = [
                checkpoint["state_dict"][name] for name, _ in pl_module.named_parameters()
            ]
            pl_module.load_state_dict(checkpoint[RAW])

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.updates = state_dict["updates"]

    def _show_average(self, pl_module: L.LightningModule) -> None:
        if self.average:
            self.raw = [weight.detach().clone() for weight in pl_module.parameters()]
            _assign(pl_module, self.average)


def average_checkpoints(files: Sequence[Path], target: Path) -> None:
    """Write a checkpoint whose weights are the mean over some checkpoints of one run.

    Vaswani et al. 2017, section 6.1, translate with the mean of the last 5 or 20 checkpoints. The
    mean is computed in float64 and stored in the number format of the newest checkpoint, the one
    with the most steps. Everything else, with integers among the weights, comes from the newest.
    The result can be evaluated or used, but not trained further.

    Raises UserError without a file, for one that `read_checkpoint` refuses, for models that differ
    in their weights' names or shapes, and if the target cannot be written.
    """
    if not files:
        raise UserError("there is nothing to average: give at least one .ckpt file")
    if not target.parent.is_dir():
        raise UserError(f"{target} cannot be written: there is no folder {target.parent}")
    newest: dict[str, Any] = {"global_step": -1}
    shapes: dict[str, torch.Size] = {}
    sums: dict[str, Tensor] = {}
    for file in files:  # one at a time: a few models fit into memory, twenty may not
        checkpoint = read_checkpoint(file)
        weights = checkpoint["state_dict"]
        found = {name: weights[name].shape for name in weights}
        shapes = shapes or found
        difference = _difference(found, shapes)
        if difference is not None:
            raise UserError(f"{file} is not of the same model as {files[0]}: {difference}")
        for name, tensor in weights.items():
            sums[name] = _exact(tensor) + sums.get(name, 0)
        if checkpoint["global_step"] > newest["global_step"]:
            newest = checkpoint
    for name, tensor in newest["state_dict"].items():
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.copy_(sums[name] / len(files))  # in place: two names of one tensor stay that
    kept = {name: value for name, value in newest.items() if name not in ONLY_TO_RESUME}
    save_checkpoint(kept, target)


def validate_whole(
    trainer: L.Trainer, objective: Objective, data: StepDataModule, checkpoint: Path
) -> dict[str, float]:
    """Return the metrics of a checkpoint on all of val."""
    trainer.validate(objective, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    return measured(trainer, "val/")


def average_kept(
    trainer: L.Trainer, objective: Objective, data: StepDataModule, folder: Path, best: float
) -> dict[str, float]:
    """Average the weights of the kept checkpoints, if there are any, and keep a better average.

    `best` is the loss of the best checkpoint on all of val. Return the metrics of the average on
    all of val if it is better, else none. They belong to no step: a resumed run drops the average.
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
    tried = averaged.with_suffix(".tried")  # not to be opened before it is known to be better
    if trainer.is_global_zero:
        average_checkpoints(files, tried)
    trainer.strategy.barrier()
    try:
        metrics = validate_whole(trainer, objective, data, tried)
        log(trainer, {"averaged/loss": metrics["val/loss"]})
        better = metrics["val/loss"] < best
        if better and trainer.is_global_zero:
            tried.rename(averaged)
    finally:
        if trainer.is_global_zero:
            tried.unlink(missing_ok=True)
    trainer.strategy.barrier()
    return metrics if better else {}


def _assign(module: L.LightningModule, values: list[Tensor]) -> None:
    """Set the module's parameters in place: the optimizer and a compiled model hold them."""
    with torch.no_grad():
        for weight, value in zip(module.parameters(), values, strict=True):
            weight.copy_(value)


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _exact(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float64))


def _difference(found: dict[str, torch.Size], wanted: dict[str, torch.Size]) -> str | None:
    """Return the first difference between two models' weights, in words."""
    for name in [*wanted, *found]:
        if name not in found:
            return f"it has no {name}"
        if name not in wanted:
            return f"it also has {name}"
        if found[name] != wanted[name]:
            return f"{name} is {tuple(found[name])}, not {tuple(wanted[name])}"
    return None
