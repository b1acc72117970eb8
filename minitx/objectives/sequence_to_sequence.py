"""Generate the target of a source."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from minitx.data.batching.batches import PairBatch
from minitx.metrics.losses import summed_cross_entropy
from minitx.metrics.token_metrics import TextLoss
from minitx.models.seq2seq import Seq2Seq
from minitx.objectives.examples import ExampleObjective


class SequenceToSequence(ExampleObjective):
    """Cross-entropy of every next target token.

    Validation measures the same, given the true target so far. The test also decodes:
    `measure(model)` returns the metrics of the model's own outputs for the test split.
    """

    model: Seq2Seq

    def __init__(
        self, *args: Any, measure: Callable[[Seq2Seq], dict[str, float]], label_smoothing: float
    ) -> None:
        super().__init__(*args, label_smoothing=label_smoothing)
        self.measure = measure
        self.losses = TextLoss()

    def summed_loss(self, batch: PairBatch) -> Tensor:
        features = self.model(batch.source, batch.source_padding, batch.target_in, logits=False)
        return summed_cross_entropy(
            features, self.model.to_logits, batch.target_out, self.label_smoothing
        )

    def score(self, batch: PairBatch) -> None:
        logits = self.model(batch.source, batch.source_padding, batch.target_in)
        self.losses.update(logits, batch.target_out)

    def on_test_epoch_end(self) -> None:
        written = self.measure(self.model) if self.trainer.is_global_zero else {}
        self.report("test", self.scores() | written)
