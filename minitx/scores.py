"""How good decoded outputs are, beside references: BLEU, chrF, error rates, with intervals.

Every function takes `outputs` (n texts) and `references` (n lists of texts, one or more each).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric as SacrebleuMetric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from torchmetrics.functional.text import edit_distance

RESAMPLES = 1000
Outputs = Sequence[str]
References = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Score:
    """A figure of a whole split and its 95% bootstrap interval, as `low` and `high`.

    `signature` says how the figure was computed, where a convention exists for saying so.
    """

    value: float
    low: float
    high: float
    signature: str = ""


def bleu(outputs: Outputs, references: References, *, lowercase: bool = False) -> Score:
    """BLEU (Papineni et al. 2002), 0 to 100, by sacrebleu with its tokenizer 13a (Post 2018)."""
    return _sacrebleu(BLEU(lowercase=lowercase), outputs, references)


def chrf(outputs: Outputs, references: References) -> Score:
    """Character n-gram F-score (Popovic 2015), 0 to 100, by sacrebleu."""
    return _sacrebleu(CHRF(), outputs, references)


def word_error_rate(outputs: Outputs, references: References) -> Score:
    """Share of outputs that are none of their references, 0 to 1.

    In grapheme-to-phoneme conversion an output is one word, hence the name.
    """
    wrong = [output not in allowed for output, allowed in zip(outputs, references, strict=True)]
    return _ratio(np.array(wrong, float), np.ones(len(wrong)))


def phoneme_error_rate(outputs: Outputs, references: References) -> Score:
    """Phonemes to change for each phoneme of the nearest reference, over the whole split.

    Texts are phonemes separated by blanks; the distance is Levenshtein's.
    """
    edits, lengths = [], []
    for output, allowed in zip(outputs, references, strict=True):
        distance, length = min(_distance(output.split(), other.split()) for other in allowed)
        edits.append(distance)
        lengths.append(length)
    return _ratio(np.array(edits, float), np.array(lengths, float))


def _distance(output: list[str], reference: list[str]) -> tuple[int, int]:
    """Edits between the two, and the length of the reference."""
    characters = {symbol: chr(0xE000 + i) for i, symbol in enumerate({*output, *reference})}
    one, other = ("".join(map(characters.__getitem__, side)) for side in (output, reference))
    return int(edit_distance([one], [other], reduction="sum")), len(reference)


def _sacrebleu(metric: SacrebleuMetric, outputs: Outputs, references: References) -> Score:
    # sacrebleu wants one list for each rank of reference, filled up where a text has fewer.
    ranks = max(map(len, references))
    streams: list[Any] = [
        [allowed[rank] if rank < len(allowed) else None for allowed in references]
        for rank in range(ranks)
    ]
    score = metric.corpus_score(list(outputs), streams, n_bootstrap=RESAMPLES)
    low, high = score._mean - score._ci, score._mean + score._ci
    return Score(score.score, float(low), float(high), str(metric.get_signature()))


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> Score:
    """sum(parts) / sum(wholes), with the percentile bootstrap over items (Efron 1979)."""
    generator = np.random.default_rng(0)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = generator.integers(len(parts), size=len(parts))
        ratios.append(parts[drawn].sum() / wholes[drawn].sum())
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Score(float(parts.sum() / wholes.sum()), float(low), float(high))
