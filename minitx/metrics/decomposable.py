"""Scores as sums over the items of a split, so that any choice of the items can be scored again.

A score is computed from a row of sums. What each item adds to them is its row of numbers, so that a
bootstrap draws items, adds up their rows, and scores the sums.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics.bleu import BLEU


@dataclass(frozen=True)
class Measure:
    """What a table shows of a model: `name` in metrics, `words` for people, and what is better.

    `score` takes sums (..., k) float64 and gives (...), float64.
    """

    name: str
    words: str
    lower_is_better: bool
    score: Callable[[np.ndarray], np.ndarray]

    def of(self, items: np.ndarray) -> float:
        """The score of a whole split; items (n, k)."""
        return float(self.score(items.sum(axis=0)))


def _ratio(sums: np.ndarray) -> np.ndarray:
    """Sums (..., 2): parts and wholes."""
    return sums[..., 0] / sums[..., 1]


def _bits(sums: np.ndarray) -> np.ndarray:
    """Sums (..., 2): nats and bytes."""
    return _ratio(sums) / np.log(2)


def _bleu(sums: np.ndarray) -> np.ndarray:
    """Sums (..., 10) of sacrebleu: lengths of output and reference, n-grams right, n-grams."""

    def one(row: np.ndarray) -> float:
        output, reference = map(int, row[:2])
        right, total = row[2:6].tolist(), row[6:].tolist()
        score = BLEU.compute_bleu(right, total, output, reference, smooth_method="exp")
        return float(score.score)

    return np.apply_along_axis(one, -1, sums)


# By name; which of them is a task's headline, `minitx.study.plan.planner` says.
MEASURES = {
    measure.name: measure
    for measure in (
        Measure("bits_per_byte", "bits per byte", True, _bits),
        Measure("wer", "word error rate", True, _ratio),
        Measure("bleu", "BLEU", False, _bleu),
        Measure("accuracy", "accuracy", False, _ratio),
        Measure("per", "phoneme error rate", True, _ratio),
        Measure("loss", "loss (nats/token)", True, _ratio),
    )
}
