"""Predict the answers at some positions of generated sequences."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from minitx.metrics.length_scores import LengthScores
from minitx.objectives.language_modeling import LanguageModeling


class Answering(LanguageModeling):
    """Cross-entropy of the targets that are not IGNORE.

    Logits are computed only for these, which saves a third of a step if they are few. `answers` is
    the mean number of targets in a training sequence, over all devices.
    """

    def __init__(self, *args: Any, answers: float, **loss: Any) -> None:
        super().__init__(*args, byte_lengths=None, **loss)
        self.answers = answers

    def loss(self, batch: Any) -> Tensor:
        """Return the summed loss of an `AnswerBatch` divided by `answers` per sequence, in nats.

        One device or batch may have more targets than another. All of them have the same weight,
        because the sum is divided by the mean number.
        """
        inputs, targets, asked = batch
        features, _ = self.model(inputs, logits=False)  # (B, T, C)
        nats = F.cross_entropy(
            self.model.to_logits(features.flatten(0, 1)[asked]),  # (asked, vocab)
            targets.flatten()[asked],
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return nats / (len(inputs) * self.answers)


class AnsweringByLength(Answering):
    """The same for sequences of several lengths, with metrics at some of them.

    `chances` are their chance levels, by length.
    """

    def __init__(self, *args: Any, chances: dict[int, float], **options: Any) -> None:
        super().__init__(*args, **options)
        self.of_lengths = LengthScores(chances)

    def score(self, batch: Any) -> None:
        """Add a `LengthBatch` to the metrics of a split."""
        inputs, targets, length = batch
        logits, _ = self.model(inputs)
        self.losses.update(logits, targets)
        self.of_lengths.update(logits, targets, length)

    def scores(self) -> dict[str, float]:
        metrics = super().scores() | self.of_lengths.compute()
        self.of_lengths.reset()
        return metrics
