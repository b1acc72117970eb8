"""Score outputs and predictions over a whole split, with intervals.

The functions over texts take `outputs` (n texts) and `references` (n lists of texts, one or more
each). All functions take `clusters`, int64 (n,): the number of each item's cluster, whose items
resemble each other. The bootstrap resamples clusters, or single items if they are None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric as SacrebleuMetric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from torchmetrics.functional.text import edit_distance

from minitx.metrics.bootstrap import cluster_sums, percentile_interval, resampled_scores
from minitx.metrics.decomposable import sum_ratio

RESAMPLES = 1000
Outputs = Sequence[str]
References = Sequence[Sequence[str]]
Clusters = np.ndarray | None


@dataclass(frozen=True)
class Score:
    """The score of a whole split and its 95% bootstrap interval, from `low` to `high`.

    The ends are NaN if there are fewer than four items, or clusters, to resample.
    `signature` describes how the score was computed, if there is a convention for that. `items` are
    the terms of each item (see `minitx.metrics.decomposable`), float64 (n, k), if they are kept.
    """

    value: float
    low: float
    high: float
    signature: str = ""
    items: np.ndarray | None = None


def bleu(
    outputs: Outputs,
    references: References,
    clusters: Clusters = None,
    *,
    lowercase: bool = False,
) -> Score:
    """Return BLEU (Papineni et al. 2002), 0 to 100, by sacrebleu with tokenizer 13a (Post 2018)."""
    return _sacrebleu(BLEU(lowercase=lowercase), outputs, references, clusters)


def has_four_grams(references: References) -> bool:
    """Return whether any reference has four words for BLEU, which multiplies precisions up to 4."""
    tokenize = Tokenizer13a()
    return any(len(tokenize(each).split()) >= 4 for allowed in references for each in allowed)


def chrf(outputs: Outputs, references: References, clusters: Clusters = None) -> Score:
    """Return the character n-gram F-score (Popovic 2015), 0 to 100, by sacrebleu."""
    score = _sacrebleu(CHRF(), outputs, references, clusters)
    return replace(score, items=None)  # it is not compared, and has many counts


def word_error_rate(outputs: Outputs, references: References, clusters: Clusters = None) -> Score:
    """Return the fraction of outputs that equal none of their references, 0 to 1.

    In grapheme-to-phoneme conversion an output is one word, hence the name. Only the parts between
    white space count, as in `phoneme_error_rate`.
    """
    wrong = [
        output.split() not in [each.split() for each in allowed]
        for output, allowed in zip(outputs, references, strict=True)
    ]
    return ratio(np.array(wrong, float), np.ones(len(wrong)), clusters)


def phoneme_error_rate(
    outputs: Outputs, references: References, clusters: Clusters = None
) -> Score:
    """Return the number of phonemes to change per phoneme of the nearest reference.

    Both numbers are summed over the whole split. Texts are phonemes separated by spaces. The
    distance is Levenshtein's.
    """
    edits, lengths = [], []
    for output, allowed in zip(outputs, references, strict=True):
        distance, length = min(_distance(output.split(), other.split()) for other in allowed)
        edits.append(distance)
        lengths.append(length)
    return ratio(np.array(edits, float), np.array(lengths, float), clusters)


def accuracy(predicted: np.ndarray, true: np.ndarray, clusters: Clusters = None) -> Score:
    """Return the fraction of examples whose label was predicted, 0 to 1; int64 (n,) each."""
    return ratio((predicted == true).astype(float), np.ones(len(true)), clusters)


def macro_f1(
    predicted: np.ndarray, true: np.ndarray, labels: int, clusters: Clusters = None
) -> Score:
    """Return the mean over the labels of 2 TP / (2 TP + FP + FN), 0 to 1; int64 (n,) each.

    A label that neither occurs nor is predicted is left out of the mean.
    """
    one_hot = np.eye(labels)
    right = one_hot[true] * (predicted == true)[:, None]  # (n, labels)
    counts = np.stack([right, one_hot[true] + one_hot[predicted]], axis=1)  # TP, 2 TP + FP + FN

    def mean_f1(sums: np.ndarray) -> np.ndarray:
        found, involved = np.moveaxis(sums.reshape(*sums.shape[:-1], 2, labels), -2, 0)
        f1 = 2 * found / np.maximum(involved, 1)
        return f1.sum(axis=-1) / (involved > 0).sum(axis=-1)

    return replace(_scored(counts.reshape(len(true), -1), mean_f1, clusters), items=None)


def confusion(predicted: np.ndarray, true: np.ndarray, labels: int) -> np.ndarray:
    """Return the counts of (true label, predicted label): int64 (labels, labels)."""
    pairs = np.bincount(true * labels + predicted, minlength=labels * labels)
    return pairs.reshape(labels, labels)


def _distance(output: list[str], reference: list[str]) -> tuple[int, int]:
    """Return the edit distance of the two, and the length of the reference."""
    characters = {symbol: chr(0xE000 + i) for i, symbol in enumerate({*output, *reference})}
    one, other = ("".join(map(characters.__getitem__, side)) for side in (output, reference))
    return int(edit_distance([one], [other], reduction="sum")), len(reference)


def _sacrebleu(
    metric: SacrebleuMetric, outputs: Outputs, references: References, clusters: Clusters
) -> Score:
    # sacrebleu takes one list for each rank of reference, padded with None if a text has fewer.
    ranks = max(map(len, references))
    streams: list[Any] = [
        [allowed[rank] if rank < len(allowed) else None for allowed in references]
        for rank in range(ranks)
    ]
    counts = np.array(metric._extract_corpus_statistics(list(outputs), streams), float)

    def one(sums: np.ndarray) -> float:
        return float(metric._compute_score_from_stats([int(count) for count in sums]).score)

    score = _scored(counts, lambda sums: np.apply_along_axis(one, -1, sums), clusters)
    return replace(score, signature=str(metric.get_signature()))


def ratio(parts: np.ndarray, wholes: np.ndarray, clusters: Clusters = None) -> Score:
    """Return sum(parts) / sum(wholes).

    Both are float64 (n,). For accuracy they are 0 or 1, and 1; for a loss, nats and tokens.
    """
    return _scored(np.stack([parts, wholes], axis=1), sum_ratio, clusters)


def _scored(
    items: np.ndarray, score: Callable[[np.ndarray], np.ndarray], clusters: Clusters
) -> Score:
    """Return the score of all items, with its percentile bootstrap.

    `items` is float64 (n, k), and `score` maps sums (..., k) to scores (...).
    """
    units = items if clusters is None else cluster_sums(items[None], clusters)[0]
    [resampled] = resampled_scores(units[None], score, RESAMPLES)
    value = float(score(items.sum(axis=0)))
    interval = percentile_interval(value, resampled, len(units))
    return Score(interval.value, interval.low, interval.high, items=items)
