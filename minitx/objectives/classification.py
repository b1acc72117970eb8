"""Predict the label of a text."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minitx.data.batching.batches import LabelBatch
from minitx.data.batching.windows import IGNORE
from minitx.metrics.token_metrics import TextLoss, label_metrics
from minitx.models.classifier import Classifier
from minitx.objectives.examples import ExampleObjective


class Classification(ExampleObjective):
    """Cross-entropy of every text's label.

    `confusion`, int64 (labels, labels), is the confusion matrix of the split that was measured
    last, with a row for each true class.
    """

    model: Classifier

    def __init__(self, *args: Any, labels: int, label_smoothing: float) -> None:
        super().__init__(*args, label_smoothing=label_smoothing)
        self.losses = TextLoss()
        self.metrics = label_metrics(labels)
        self.confusion = torch.zeros(labels, labels, dtype=torch.int64)

    def summed_loss(self, batch: LabelBatch) -> Tensor:
        return F.cross_entropy(
            self.model(batch.tokens, batch.padding),
            batch.labels,
            ignore_index=IGNORE,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def score(self, batch: LabelBatch) -> None:
        logits = self.model(batch.tokens, batch.padding).float()  # (B, labels)
        self.losses.update(logits[:, None], batch.labels[:, None])  # as a text of one token
        self.metrics.update(logits.argmax(dim=-1), batch.labels)

    def scores(self) -> dict[str, float]:
        metrics = self.metrics.compute()
        self.confusion = metrics.pop("confusion")
        loss = self.losses.compute()["loss"]
        self.losses.reset()
        self.metrics.reset()
        return {"loss": loss} | {name: float(value) for name, value in metrics.items()}
