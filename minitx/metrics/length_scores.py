"""How many sequences of each length are answered without a mistake."""

import torch
from torch import Tensor
from torchmetrics import Metric

from minitx.data.batching.windows import IGNORE

# The names of the metrics of one length.
EXACT_AT, ACCURACY_AT, CHANCE_AT = "exact_match_at_{}", "accuracy_at_{}", "chance_at_{}"


class LengthScores(Metric):
    """The fraction of sequences without a wrong answer, and the accuracy at each length.

    Sequences without a target do not count. All counts are integers, so that the metrics depend
    neither on the batch size nor on the number of devices.
    """

    counts: Tensor

    def __init__(self, chances: dict[int, float]) -> None:
        """`chances` are the chance levels of the lengths that get metrics of their own."""
        super().__init__()
        self.chances, self.lengths = chances, list(chances)
        # A row for all sequences and one for each length: sequences, right ones, answers, right
        # ones.
        counts = torch.zeros(1 + len(chances), 4, dtype=torch.int64)
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor, length: int | None) -> None:
        """Add sequences of one length, or of different lengths if it is None.

        logits (B, T, vocab_size), targets int64 (B, T), some of them IGNORE.
        """
        scored = targets != IGNORE
        answers = scored.sum(dim=1)  # (B,)
        right = ((logits.argmax(dim=-1) == targets) & scored).sum(dim=1)
        asked = answers > 0
        columns = [asked, asked & (right == answers), answers, right]
        row = torch.stack([column.sum() for column in columns])
        self.counts[0] += row
        if length is not None:
            self.counts[1 + self.lengths.index(length)] += row

    def compute(self) -> dict[str, float]:
        """Return exact_match (0 to 1), and accuracy and chance at each length that occurred."""
        whole, *rows = self.counts.tolist()
        metrics = {"exact_match": whole[1] / whole[0]}
        for length, (sequences, exact, answers, right) in zip(self.lengths, rows, strict=True):
            if sequences:
                metrics[EXACT_AT.format(length)] = exact / sequences
                metrics[ACCURACY_AT.format(length)] = right / answers
                metrics[CHANCE_AT.format(length)] = self.chances[length]
        return metrics
