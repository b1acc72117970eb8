"""Learning to predict the next token."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from minitx.config import OptimizerConfig
from minitx.metrics import TextLoss
from minitx.optim import clip_gradients, learning_rate_factor, make_optimizer
from minitx.seeding import seed_step


class LanguageModeling(L.LightningModule):
    """The objective: cross-entropy of every next token, over any model of `minitx.models`.

    `byte_lengths` int64 (vocab_size,) is how many bytes each token stands for; `progress()` is how
    far the training is, from 0 to 1; `archive` holds the plain values that make a checkpoint
    complete by itself: the config, the tokenizer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        byte_lengths: Tensor,
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
        self.losses = TextLoss(byte_lengths)
        self.grad_norm = torch.zeros(())  # of the latest step, before clipping
        self.step_loss = torch.zeros(())  # of the latest step: the mean over its batches

    # -- training --

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        accumulate = self.trainer.accumulate_grad_batches
        number = self.trainer.global_step * accumulate + batch_idx % accumulate
        seed_step(self.seed, number, self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean loss in nats of a batch of (inputs, targets), int64 (B, T) each."""
        inputs, targets = batch
        logits, _ = self.model(inputs)  # (B, T, vocab)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
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
        # The norm that clipping computes is the one we log: it is not computed twice.
        self.grad_norm = clip_gradients(self.model.parameters(), self.optimizer_config.clip_norm)

    # -- evaluation: the whole split, in sums --

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._score(batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _score(self, batch: tuple[Tensor, Tensor]) -> None:
        inputs, targets = batch
        logits, _ = self.model(inputs)
        self.losses.update(logits, targets)

    def _report(self, split: str) -> None:
        # Not to the loggers: a callback writes these in the row of their step.
        metrics = {f"{split}/{name}": value for name, value in self.losses.compute().items()}
        self.log_dict(metrics, logger=False)
        self.losses.reset()

    # -- checkpoints --

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["hyper_parameters"] = self.archive

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # The data module begins an epoch wherever the step counter stands, so Lightning must not
        # go on counting the batches of the epoch that was left.
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for count in ("total", "current"):
            progress[count] = dict.fromkeys(progress[count], 0)
