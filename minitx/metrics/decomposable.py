"""Scores as functions of sums over the items of a split, so that any resample can be scored.

A score is computed from a row of sums. Each item has a row of terms of these sums. A bootstrap
draws items, adds up their rows, and scores the sums.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from minitx.drawing.formatting import decimals


@dataclass(frozen=True)
class Measure:
    """A measure of quality: its `name` among the metrics, its `words` in a report, and its score.

    `score` maps sums (..., k) float64 to scores (...) float64. `bounds` are the lowest and the
    highest score that is possible. Reports show a fraction as percent, and other values with
    `decimals` decimals.
    """

    name: str
    words: str
    lower_is_better: bool
    score: Callable[[np.ndarray], np.ndarray]
    is_fraction: bool = False
    decimals: int = 3
    bounds: tuple[float, float] = (0.0, inf)

    def of(self, items: np.ndarray) -> float:
        """Return the score of a whole split; items (n, k)."""
        return float(self.score(items.sum(axis=0)))

    @property
    def direction(self) -> str:
        """The word for a score that is better than another."""
        return "lower" if self.lower_is_better else "higher"

    @property
    def on_test(self) -> str:
        """The name of an axis: "bits per byte on test (lower is better)"."""
        return f"{self.words} on test ({self.direction} is better)"

    def number(self, value: float) -> str:
        """Format a value: "2.145", "24.3%"."""
        if self.is_fraction and not isnan(value):
            return f"{decimals(100 * value, 1)}%"
        return decimals(value, self.decimals)

    def amount(self, value: float) -> str:
        """Format a value with its unit: "2.145 bits per byte", "word error rate 24.3%"."""
        words = self.number(value), self.words
        return " ".join(words[::-1] if self.is_fraction else words)

    def pair(self, one: float, other: float) -> str:
        """Format two values: "2.145 against 2.219 bits per byte"."""
        if self.is_fraction:
            return f"{self.amount(one)} against {self.number(other)}"
        return f"{self.number(one)} against {self.amount(other)}"

    @property
    def best(self) -> str:
        """Return which value is the best one."""
        return "lowest" if self.lower_is_better else "highest"

    def difference(self, value: float) -> str:
        """Format a difference, with one decimal more than the values: "0.0123", "1.39"."""
        return decimals(100 * value, 2) if self.is_fraction else decimals(value, self.decimals + 1)


def sum_ratio(sums: np.ndarray) -> np.ndarray:
    """Return parts / wholes; sums (..., 2) are parts and wholes."""
    return sums[..., 0] / sums[..., 1]


def _bits(sums: np.ndarray) -> np.ndarray:
    """Return bits per byte; sums (..., 2) are nats and bytes."""
    return sum_ratio(sums) / np.log(2)


def _bleu(sums: np.ndarray) -> np.ndarray:
    """Return BLEU; sums (..., 10) of sacrebleu: both lengths, matching n-grams, all n-grams."""

    def one(row: np.ndarray) -> float:
        output, reference = map(int, row[:2])
        right, total = row[2:6].tolist(), row[6:].tolist()
        score = BLEU.compute_bleu(right, total, output, reference, smooth_method="exp")
        return float(score.score)

    return np.apply_along_axis(one, -1, sums)


FRACTION = (0.0, 1.0)

# By name. `minitx.config.tasks` declares the headline measure of each task.
MEASURES = {
    measure.name: measure
    for measure in (
        Measure("bits_per_byte", "bits per byte", True, _bits),
        Measure("wer", "word error rate", True, sum_ratio, is_fraction=True, bounds=FRACTION),
        Measure("bleu", "BLEU", False, _bleu, decimals=1, bounds=(0.0, 100.0)),
        Measure("accuracy", "accuracy", False, sum_ratio, is_fraction=True, bounds=FRACTION),
        Measure("exact_match", "exact match", False, sum_ratio, is_fraction=True, bounds=FRACTION),
        # An output that is longer than its reference may need more than one change per phoneme.
        Measure("per", "phoneme error rate", True, sum_ratio, is_fraction=True),
        Measure("loss", "loss (nats/token)", True, sum_ratio),
    )
}
