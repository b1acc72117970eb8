"""Predict the values of queried keys."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from minitx.objectives.language_modeling import LanguageModeling


class AssociativeRecall(LanguageModeling):
    """Cross-entropy of the targets that are not IGNORE.

    Logits are computed only for these few, which saves a third of a step. `queries` is the mean
    number of queries in a training sequence, over all devices.
    """

    def __init__(self, *args: Any, queries: float, **loss: Any) -> None:
        super().__init__(*args, byte_lengths=None, **loss)
        self.queries = queries

    def loss(self, batch: Any) -> Tensor:
        """Return the mean over the queries of a `RecallBatch`, in nats.

        All batches have as many queries, but one device may have more of them than another, so the
        sum is divided by their mean number.
        """
        inputs, targets, asked = batch
        features, _ = self.model(inputs, logits=False)  # (B, T, C)
        nats = F.cross_entropy(
            self.model.to_logits(features.flatten(0, 1)[asked]),  # (queries, vocab)
            targets.flatten()[asked],
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return nats / (len(inputs) * self.queries)
