"""Predict the next token."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from minitx.metrics.token_metrics import TextLoss
from minitx.models.language_model import LanguageModel
from minitx.objectives.base import Objective

Batch = tuple[Tensor, Tensor]  # inputs and targets, int64 (B, T) each


class LanguageModeling(Objective):
    """Cross-entropy of every next token.

    `byte_lengths`, int64 (vocab_size,), is the number of bytes that each token stands for, or None
    if tokens do not stand for bytes.
    """

    model: LanguageModel

    def __init__(
        self, *args: Any, byte_lengths: Tensor | None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(*args)
        self.label_smoothing = label_smoothing
        self.losses = TextLoss(byte_lengths)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean over the batch's targets, in nats. All batches have as many targets."""
        inputs, targets = batch
        logits, _ = self.model(inputs)  # (B, T, vocab)
        return F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), label_smoothing=self.label_smoothing
        )

    def tokens(self, batch: Batch) -> int:
        return batch[0].numel() * self.trainer.world_size

    def score(self, batch: Batch) -> None:
        inputs, targets = batch
        logits, _ = self.model(inputs)
        self.losses.update(logits, targets)
