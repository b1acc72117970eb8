"""Learning to name the values that are asked for."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from minitx.data.windows import IGNORE
from minitx.tasks.language_modeling import Batch, LanguageModeling


class AssociativeRecall(LanguageModeling):
    """Cross-entropy of the targets that are not IGNORE, over a `LanguageModel`.

    They are few, so logits are computed for them alone: a third of a step is saved. `queries` is
    how many a training sequence has on average, over all devices.
    """

    def __init__(self, *args: Any, queries: float, **loss: Any) -> None:
        super().__init__(*args, byte_lengths=None, **loss)
        self.queries = queries

    def loss(self, batch: Batch) -> Tensor:
        """Mean over the values that are asked for, in nats: all batches have as many.

        A device may have more of them than another, which is why it takes their mean number.
        """
        inputs, targets = batch
        features, _ = self.model(inputs, logits=False)  # (B, T, C)
        to_logits, asked = self.model.to_logits, targets != IGNORE
        assert isinstance(to_logits, nn.Linear)
        logits = to_logits(features[asked])  # (queries, vocab)
        nats = F.cross_entropy(
            logits, targets[asked], label_smoothing=self.label_smoothing, reduction="sum"
        )
        return nats / (len(inputs) * self.queries)
