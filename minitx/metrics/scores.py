"""Score outputs and predictions over a whole split, with intervals.

The functions over texts take `outputs` (n texts) and `references` (n lists of texts, one or more
each).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric as SacrebleuMetric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from torchmetrics.functional.text import edit_distance

from minitx.metrics.bootstrap import percentile_interval, resampled_scores
from minitx.metrics.decomposable import sum_ratio

RESAMPLES = 1000
Outputs = Sequence[str]
References = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Score:
    """The score of a whole split and its 95% bootstrap interval, from `low` to `high`.

    `signature` describes how the score was computed, if there is a convention for that. `items` are
    the terms of each item (see `minitx.metrics.decomposable`), float64 (n, k), if they are kept.
    """

    value: float
    low: float
    high: float
    signature: str = ""
    items: np.ndarray | None = None


def bleu(outputs: Outputs, references: References, *, lowercase: bool = False) -> Score:
    """Return BLEU (Papineni et al. 2002), 0 to 100, by sacrebleu with tokenizer 13a (Post 2018)."""
    return _sacrebleu(BLEU(lowercase=lowercase), outputs, references)


def chrf(outputs: Outputs, references: References) -> Score:
    """Return the character n-gram F-score (Popovic 2015), 0 to 100, by sacrebleu."""
    return _sacrebleu(_PlainCHRF(), outputs, references)


class _PlainCHRF(CHRF):
    """chrF in Python floats: sacrebleu's intervals cannot mix numpy scalars and a plain 0."""

    def _compute_f_score(self, statistics: list[int]) -> float:
        return float(super()._compute_f_score(statistics))


def word_error_rate(outputs: Outputs, references: References) -> Score:
    """Return the fraction of outputs that equal none of their references, 0 to 1.

    In grapheme-to-phoneme conversion an output is one word, hence the name.
    """
    wrong = [output not in allowed for output, allowed in zip(outputs, references, strict=True)]
    return ratio(np.array(wrong, float), np.ones(len(wrong)))


def phoneme_error_rate(outputs: Outputs, references: References) -> Score:
    """Return the number of phonemes to change per phoneme of the nearest reference.

    Both numbers are summed over the whole split. Texts are phonemes separated by blanks. The
    distance is Levenshtein's.
    """
    edits, lengths = [], []
    for output, allowed in zip(outputs, references, strict=True):
        distance, length = min(_distance(output.split(), other.split()) for other in allowed)
        edits.append(distance)
        lengths.append(length)
    return ratio(np.array(edits, float), np.array(lengths, float))


def accuracy(predicted: np.ndarray, true: np.ndarray) -> Score:
    """Return the fraction of examples whose label was predicted, 0 to 1; int64 (n,) each."""
    return ratio((predicted == true).astype(float), np.ones(len(true)))


def macro_f1(predicted: np.ndarray, true: np.ndarray, labels: int) -> Score:
    """Return the mean over the labels of 2 TP / (2 TP + FP + FN), 0 to 1; int64 (n,) each.

    A label that neither occurs nor is predicted is left out of the mean.
    """

    def mean_f1(rows: np.ndarray) -> float:
        counts = confusion(predicted[rows], true[rows], labels)
        involved = counts.sum(axis=0) + counts.sum(axis=1)  # 2 TP + FP + FN
        return float((2 * np.diag(counts)[involved > 0] / involved[involved > 0]).mean())

    generator = np.random.default_rng(0)
    n = len(true)
    means = [mean_f1(generator.integers(n, size=n)) for _ in range(RESAMPLES)]
    interval = percentile_interval(mean_f1(np.arange(n)), np.array(means))
    return Score(interval.value, interval.low, interval.high)


def confusion(predicted: np.ndarray, true: np.ndarray, labels: int) -> np.ndarray:
    """Return the counts of (true label, predicted label): int64 (labels, labels)."""
    pairs = np.bincount(true * labels + predicted, minlength=labels * labels)
    return pairs.reshape(labels, labels)


def _distance(output: list[str], reference: list[str]) -> tuple[int, int]:
    """Return the edit distance of the two, and the length of the reference."""
    characters = {symbol: chr(0xE000 + i) for i, symbol in enumerate({*output, *reference})}
    one, other = ("".join(map(characters.__getitem__, side)) for side in (output, reference))
    return int(edit_distance([one], [other], reduction="sum")), len(reference)


def _sacrebleu(metric: SacrebleuMetric, outputs: Outputs, references: References) -> Score:
    # sacrebleu takes one list for each rank of reference, padded with None if a text has fewer.
    ranks = max(map(len, references))
    streams: list[Any] = [
        [allowed[rank] if rank < len(allowed) else None for allowed in references]
        for rank in range(ranks)
    ]
    score = metric.corpus_score(list(outputs), streams, n_bootstrap=RESAMPLES)
    low, high = score._mean - score._ci, score._mean + score._ci
    items = None
    if isinstance(metric, BLEU):  # chrF is not compared, and has many counts
        items = np.array(metric._extract_corpus_statistics(list(outputs), streams), float)
    return Score(score.score, float(low), float(high), str(metric.get_signature()), items)


def ratio(parts: np.ndarray, wholes: np.ndarray) -> Score:
    """Return sum(parts) / sum(wholes), with the percentile bootstrap over items (Efron 1979).

    Both are float64 (n,). For accuracy they are 0 or 1, and 1; for a loss, nats and tokens.
    """
    items = np.stack([parts, wholes], axis=1)
    [resampled] = resampled_scores(items[None], sum_ratio, RESAMPLES)
    interval = percentile_interval(float(sum_ratio(items.sum(axis=0))), resampled)
    return Score(interval.value, interval.low, interval.high, items=items)
