"""Learning to name the values that are asked for."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from minitx.objectives.language_modeling import LanguageModeling


class AssociativeRecall(LanguageModeling):
    """Cross-entropy of the targets that are not IGNORE, over a `LanguageModel`.

    They are few, so logits are computed for them alone: a third of a step is saved. `queries` is
    how many a training sequence has on average, over all devices.
    """

    def __init__(self, *args: Any, queries: float, **loss: Any) -> None:
        super().__init__(*args, byte_lengths=None, **loss)
        self.queries = queries

    def loss(self, batch: Any) -> Tensor:
        """Mean over the values that a `RecallBatch` asks for, in nats: all batches have as many.

        A device may have more of them than another, which is why it takes their mean number.
        """
        inputs, targets, asked = batch
        features, _ = self.model(inputs, logits=False)  # (B, T, C)
        to_logits = self.model.to_logits
        assert isinstance(to_logits, nn.Linear)
        nats = F.cross_entropy(
            to_logits(features.flatten(0, 1)[asked]),  # (queries, vocab)
            targets.flatten()[asked],
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return nats / (len(inputs) * self.queries)
