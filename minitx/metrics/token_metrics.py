"""How well tokens and classes are predicted, over a whole split."""

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
    """exp(loss), of a loss in nats per token."""
    return math.exp(min(loss, 700.0))  # it overflows beyond 709


class TextLoss(Metric):
    """Loss, perplexity, accuracy of next-token predictions, and bits per byte of a text.

    Sums over the tokens of a split, so that the figures depend neither on the batch size nor on
    the number of devices. Bits per byte compares across tokenizers, which nats per token do not.

    All sums are integers, which are exact in any order, and which every device has; float64 is
    missing on Apple's GPUs. Nats are counted whole, and their fractions in 2**-32 of a nat. A
    float32 of 2**-9 nats or more is a multiple of that; a smaller one is rounded, by 1.2e-10 nats
    at most. There is room for the fractions of 2**31 tokens.
    """

    nats: Tensor
    fractions: Tensor
    infinite: Tensor
    tokens: Tensor
    correct: Tensor
    bytes: Tensor
    byte_lengths: Tensor | None

    def __init__(self, byte_lengths: Tensor | None = None) -> None:
        """byte_lengths int64 (vocab_size,): how many bytes of text each token stands for.

        Where it is None, there are no bits per byte.
        """
        super().__init__()
        self.register_buffer("byte_lengths", byte_lengths, persistent=False)
        for count in ("nats", "fractions", "infinite", "tokens", "correct", "bytes"):
            self.add_state(count, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch: logits (B, T, vocab_size), targets int64 (B, T), IGNORE where none is."""
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
        """loss in nats per token, perplexity = exp(loss), bits_per_byte, accuracy in 0 to 1.

        The loss is infinite where that of a token is not a number, or 2**32 nats or more.
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
    """Accuracy, the mean of the classes' F1 scores, and how often which is taken for which.

    Updated with predictions and labels, int64 (B,) each. `confusion` is int64 (labels, labels), the
    true class down. A class that neither occurs nor is predicted does not enter the mean.
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(labels, average="micro"),
            "macro_f1": MulticlassF1Score(labels, average="macro"),
            "confusion": MulticlassConfusionMatrix(labels),
        }
    )
