"""How good a language model is, over a whole split."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from minitx.data.windows import IGNORE


class TextLoss(Metric):
    """Loss, perplexity, bits per byte and accuracy of next-token predictions.

    Sums over the tokens of a split, so that the figures depend neither on the batch size nor on
    the number of devices. Bits per byte compares across tokenizers, which nats per token do not.
    """

    nats: Tensor
    tokens: Tensor
    correct: Tensor
    bytes: Tensor
    byte_lengths: Tensor

    def __init__(self, byte_lengths: Tensor) -> None:
        """byte_lengths int64 (vocab_size,): how many bytes of text each token stands for."""
        super().__init__()
        self.register_buffer("byte_lengths", byte_lengths, persistent=False)
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for count in ("tokens", "correct", "bytes"):
            self.add_state(count, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch: logits (B, T, vocab_size), targets int64 (B, T), IGNORE where none is."""
        logits, targets = logits.flatten(0, 1).float(), targets.flatten()
        scored = targets != IGNORE
        nats = F.cross_entropy(logits, targets, reduction="none", ignore_index=IGNORE)
        # double() on both sides: trainer.precision=bf16-true turns every float of a module to bf16.
        self.nats = self.nats.double() + nats.double().sum()
        self.tokens += scored.sum()
        self.correct += ((logits.argmax(dim=-1) == targets) & scored).sum()
        self.bytes += (self.byte_lengths[targets.clamp(min=0)] * scored).sum()

    def compute(self) -> dict[str, float]:
        """loss in nats per token, perplexity = exp(loss), bits_per_byte, accuracy in 0 to 1."""
        nats, tokens = float(self.nats), int(self.tokens)
        return {
            "loss": nats / tokens,
            "perplexity": math.exp(min(nats / tokens, 700.0)),  # exp overflows beyond 709
            "bits_per_byte": nats / math.log(2) / int(self.bytes),
            "accuracy": int(self.correct) / tokens,
        }
