"""How well tokens and labels are predicted, over a whole split."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from minitx.data.batching.windows import IGNORE

PARTS = 2**32  # of a nat, the smallest that is counted


def perplexity(loss: float) -> float:
    """Return exp(loss), of a loss in nats per token."""
    return math.exp(min(loss, 700.0))  # it overflows beyond 709


class TextLoss(Metric):
    """Loss, perplexity, accuracy of next-token predictions, and bits per byte of a text.

    It sums over the tokens of a split, so that the metrics depend neither on the batch size nor on
    the number of devices. Bits per byte can be compared across tokenizers, nats per token cannot.

    All sums are integers: they are exact in any order, and every device has them, whereas Apple's
    GPUs have no float64. Whole nats are counted, and fractions in units of 2**-32 nats. A float32
    of 2**-9 nats or more is a multiple of that; a smaller one is rounded by at most 1.2e-10 nats.
    The fractions of 2**31 tokens fit.
    """

    nats: Tensor
    fractions: Tensor
    infinite: Tensor
    tokens: Tensor
    correct: Tensor
    bytes: Tensor
    byte_lengths: Tensor | None

    def __init__(self, byte_lengths: Tensor | None = None) -> None:
        """byte_lengths int64 (vocab_size,): the number of bytes that each token stands for.

        Without it, there are no bits per byte.
        """
        super().__init__()
        self.register_buffer("byte_lengths", byte_lengths, persistent=False)
        for count in ("nats", "fractions", "infinite", "tokens", "correct", "bytes"):
            self.add_state(count, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: logits (B, T, vocab_size), targets int64 (B, T), some of them IGNORE."""
        logits, targets = logits.flatten(0, 1).float(), targets.flatten()
        scored = targets != IGNORE
        nats = F.cross_entropy(logits, targets, reduction="none", ignore_index=IGNORE)
        finite = nats < PARTS  # false for NaN, too
        self.infinite += (~finite).sum()
        nats = torch.where(finite, nats, 0.0)
        whole = nats.floor()
        self.nats += whole.long().sum()
        self.fractions += (PARTS * (nats - whole)).round().long().sum()
        self.tokens += scored.sum()
        self.correct += ((logits.argmax(dim=-1) == targets) & scored).sum()
        if self.byte_lengths is not None:
            self.bytes += (self.byte_lengths[targets.clamp(min=0)] * scored).sum()

    def compute(self) -> dict[str, float]:
        """Return loss (nats per token), perplexity = exp(loss), accuracy (0 to 1), bits_per_byte.

        The loss is infinite if that of a token is not a number, or 2**32 nats or more.
        """
        nats, tokens = int(self.nats) + int(self.fractions) / PARTS, int(self.tokens)
        if self.infinite:
            nats = math.inf
        metrics = {
            "loss": nats / tokens,
            "perplexity": perplexity(nats / tokens),
            "accuracy": int(self.correct) / tokens,
        }
        if self.byte_lengths is not None:
            metrics["bits_per_byte"] = nats / math.log(2) / int(self.bytes)
        return metrics


def label_metrics(labels: int) -> MetricCollection:
    """Return the accuracy, the mean of the classes' F1 scores, and the confusion matrix.

    They are updated with predictions and labels, int64 (B,) each. `confusion` is int64 (labels,
    labels), with a row for each true class. The mean leaves out a class that neither occurs nor is
    predicted.
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(labels, average="micro"),
            "macro_f1": MulticlassF1Score(labels, average="macro"),
            "confusion": MulticlassConfusionMatrix(labels),
        }
    )
