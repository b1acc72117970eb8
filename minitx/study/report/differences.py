"""The difference of two scores: over test items, by a paired bootstrap, and over paired seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval, cluster_sums, percentile_interval, resampled_scores
from minitx.metrics.decomposable import Measure
from minitx.study.report.verdict import Comparison, larger_p
from minitx.study.results.conditions import Condition, Pair
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import difference_interval

RESAMPLES, FEW_RESAMPLES = 10_000, 1_000


def resamples_of(measure: Measure) -> int:
    """Return the number of resamples. BLEU gets fewer, because it is computed row by row."""
    return FEW_RESAMPLES if measure.name == "bleu" else RESAMPLES


def differences_of(results: Results, pairs: list[Pair]) -> list[Comparison]:
    """Compare each pair by the headline measure, with p-values that are not corrected.

    p is the larger one of both tests, or that over items if there are too few seeds for the other.
    """
    both = [_shared(results, *pair) for pair in pairs]
    found = []
    for (one, other), items in zip(both, _over_items(results, both), strict=True):
        shared = list(one.scores.index.intersection(other.scores.index))
        means = one.mean, other.mean
        seeds = Interval(means[0] - means[1])
        if shared:
            seeds = difference_interval(one.scores, other.scores, results.measure.bounds)
        p = larger_p(items, seeds)  # without a test over seeds, that over items is of these runs
        pair = one.condition, other.condition
        found.append(Comparison(*pair, results.measure, shared, means, items, seeds, p))
    return found


@dataclass(frozen=True)
class _Side:
    """A condition, with the scores by seed that are compared."""

    condition: Condition
    scores: pd.Series

    @property
    def key(self) -> tuple[object, ...]:
        return self.condition.name, *self.scores.index

    @property
    def mean(self) -> float:
        return float(self.scores.mean()) if len(self.scores) else np.nan


def _shared(results: Results, first: Condition, second: Condition) -> tuple[_Side, _Side]:
    """Return both with the seeds that they share or, if there are none, with all of their own."""
    one, other = (condition.by_seed(results.metric) for condition in (first, second))
    shared = one.index.intersection(other.index)
    if len(shared):
        one, other = one[shared], other[shared]
    return _Side(first, one), _Side(second, other)


def _over_items(results: Results, pairs: list[tuple[_Side, _Side]]) -> list[Interval]:
    """Return the difference of the pooled scores for each pair, NaN if its test items differ.

    All models on a test set are scored on the same resamples. Conditions have the same test set if
    they have the same corpus and the same number of items.
    """
    measure = results.measure
    sides = {side.key: side for pair in pairs for side in pair}
    pooled = {
        key: items.sum(axis=0)
        for key, side in sides.items()
        if (items := side.condition.items(results, side.scores.index)) is not None
    }
    tests = {key: (items.shape, sides[key].condition.corpus) for key, items in pooled.items()}
    resampled: dict[tuple[object, ...], np.ndarray] = {}
    sizes = {}
    for test in set(tests.values()):
        keys = [key for key in pooled if tests[key] == test]
        stack = np.stack([pooled[key] for key in keys])
        known = (sides[key].condition.clusters(results) for key in keys)
        clusters = next((each for each in known if each is not None), None)
        stack = stack if clusters is None else cluster_sums(stack, clusters)
        scores = resampled_scores(stack, measure.score, resamples_of(measure))
        resampled |= dict(zip(keys, scores, strict=True))
        for key in keys:
            sizes[key] = stack.shape[1]

    def difference(one: tuple[object, ...], other: tuple[object, ...]) -> Interval:
        if one not in pooled or other not in pooled or tests[one] != tests[other]:
            return Interval(np.nan)
        value = measure.of(pooled[one]) - measure.of(pooled[other])
        return percentile_interval(value, resampled[one] - resampled[other], sizes[one])

    return [difference(one.key, other.key) for one, other in pairs]


def resampled_clusters(results: Results) -> str:
    """Return what the resamples consist of: " of 31 clusters of items"."""
    sizes = sorted({len(np.unique(each)) for each in results.clusters.values()})
    if not sizes:
        return " of single items, which are assumed to be independent"
    return f" of {listed(f'{size:,}' for size in sizes)} clusters of items"
