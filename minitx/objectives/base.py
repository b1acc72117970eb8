"""What all objectives share: reproducible steps, an optimizer, self-contained checkpoints."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from minitx.config.schema import OptimizerConfig
from minitx.data.random_streams import seed_step
from minitx.metrics.token_metrics import TextLoss
from minitx.objectives.optim import clip_gradients, learning_rate_factor, make_optimizer


class Objective(L.LightningModule):
    """A model and how it is trained; a subclass defines the loss and the metrics.

    `progress()` is the fraction of the training that is done. `archive` holds the plain values that
    every checkpoint contains: config, tokenizers, fingerprint.

    `grad_norm` (before clipping) and `step_loss` (the mean over the batches of a step) belong to
    the latest step. They are scalars that stay on their device until they are read. `losses` are
    the metrics of every prediction.
    """

    losses: TextLoss

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        seed: int,
        progress: Callable[[], float],
        archive: dict[str, Any],
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_config = optimizer
        self.seed = seed
        self.progress = progress
        self.archive = archive
        self.grad_norm = torch.zeros(())
        self.step_loss = torch.zeros(())

    def loss(self, batch: Any) -> Tensor:
        """Return the training loss of a batch: a scalar, in nats.

        The mean over all batches and devices of a step is the mean over the step's targets.
        """
        raise NotImplementedError

    def tokens(self, batch: Any) -> int:
        """Return the number of tokens in a training batch, over all devices."""
        raise NotImplementedError

    def score(self, batch: Any) -> None:
        """Add a batch to the metrics of a split."""
        raise NotImplementedError

    def scores(self) -> dict[str, float]:
        """Return the metrics of the split so far, by name, and reset them."""
        metrics = self.losses.compute()
        self.losses.reset()
        return metrics

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        accumulate = self.trainer.accumulate_grad_batches
        number = self.trainer.global_step * accumulate + batch_idx % accumulate
        seed_step(self.seed, number, self.global_rank)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of one batch and add it to the step's."""
        loss = self.loss(batch)
        accumulate = self.trainer.accumulate_grad_batches
        before = 0.0 if batch_idx % accumulate == 0 else self.step_loss
        self.step_loss = before + loss.detach() / accumulate
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.model, self.optimizer_config)
        schedule = LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(step, self.progress(), self.optimizer_config),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Clipping computes the norm anyway, so this is the one that is logged.
        self.grad_norm = clip_gradients(self.model.parameters(), self.optimizer_config.clip_norm)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.score(batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.score(batch)

    def on_validation_epoch_end(self) -> None:
        self.report("val", self.scores())

    def on_test_epoch_end(self) -> None:
        self.report("test", self.scores())

    def report(self, split: str, metrics: dict[str, float]) -> None:
        """Pass a split's metrics to the callbacks, one of which writes them to metrics.csv."""
        self.log_dict({f"{split}/{name}": value for name, value in metrics.items()}, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["hyper_parameters"] = self.archive

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # The data module starts an epoch at the current step. Lightning must therefore neither
        # continue the batch count of the interrupted epoch nor end that epoch again.
        fit = checkpoint["loops"]["fit_loop"]
        batches, epochs = fit["epoch_loop.batch_progress"], fit["epoch_progress"]
        for count in ("total", "current"):
            batches[count] = dict.fromkeys(batches[count], 0)
            epochs[count]["completed"] = epochs[count]["processed"]
        batches["is_last_batch"] = False
