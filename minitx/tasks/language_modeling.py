"""Learning to predict the next token."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from minitx.config import OptimizerConfig
from minitx.metrics import TextLoss
from minitx.tasks.base import Objective

Batch = tuple[Tensor, Tensor]  # inputs and targets, int64 (B, T) each


class LanguageModeling(Objective):
    """Cross-entropy of every next token, over a `LanguageModel`.

    `byte_lengths` int64 (vocab_size,) is how many bytes each token stands for.
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
        super().__init__(model, optimizer, seed, progress, archive)
        self.losses = TextLoss(byte_lengths)

    def loss(self, batch: Batch) -> Tensor:
        """Mean over all the targets, in nats."""
        inputs, targets = batch
        logits, _ = self.model(inputs)  # (B, T, vocab)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._score(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _score(self, batch: Batch) -> None:
        inputs, targets = batch
        logits, _ = self.model(inputs)
        self.losses.update(logits, targets)

    def _report(self, split: str) -> None:
        self.report(split, self.losses.compute())
        self.losses.reset()
