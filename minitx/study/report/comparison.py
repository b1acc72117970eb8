"""Compare two models, and decide what a report says about them.

One model is called better than another only if the study kept all rules of a fair comparison, and
if two tests of their difference show it: a paired bootstrap over the clusters of test items, and a
paired t test over seeds. Both are needed, so the larger p-value of the two counts. It is corrected
by Holm's method for all comparisons that the report makes.

If a rule was not kept, or if there are too few seeds for a test, the report only says which model
had the lower (or the higher) score in these runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval, cluster_sums, percentile_interval, resampled_scores
from minitx.metrics.decomposable import Measure
from minitx.study.report.rules import may_claim
from minitx.study.report.verdict import Comparison
from minitx.study.results.axes import numeric_axis
from minitx.study.results.conditions import (
    Condition,
    conditions_of,
    lines_along,
    scored_conditions,
)
from minitx.study.results.octaves import last_gain_differences, measured_octaves
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import difference_interval
from minitx.study.statistics.multiple import holm

MOST_ARMS = 5  # of which all pairs are compared
RESAMPLES, FEW_RESAMPLES = 10_000, 1_000

Pair = tuple[Condition, Condition]


def resamples_of(measure: Measure) -> int:
    """Return the number of resamples. BLEU gets fewer, because it is computed row by row."""
    return FEW_RESAMPLES if measure.name == "bleu" else RESAMPLES


def compare(results: Results, pairs: Iterable[Pair]) -> list[Comparison]:
    """Compare each pair by the headline measure.

    The p-values are corrected for these pairs and for all others that the report compares.
    """
    pairs = list(pairs)
    family = {_key(pair): pair for pair in [*_pairs_of_report(results), *pairs]}
    found = _uncorrected(results, list(family.values()))
    gains: dict[str, Interval] = {}
    if "positions" in results.study.sections:
        gains = last_gain_differences(measured_octaves(results))
    corrected = holm([*(each.p for each in found), *(each.p for each in gains.values())])
    tests, claim = int(np.isfinite(corrected).sum()), may_claim(results)
    made = {
        key: replace(each, p=float(p), tests=tests, claim=claim)
        for key, each, p in zip(family, found, corrected[: len(found)], strict=True)
    }
    return [made[_key(pair)] for pair in pairs]


def corrected_gains(results: Results, gains: dict[str, Interval]) -> tuple[np.ndarray, int]:
    """Return the corrected p-values of `last_gain_differences`, and the number of all tests."""
    pairs = {_key(pair): pair for pair in _pairs_of_report(results)}
    headline = _uncorrected(results, list(pairs.values()))
    corrected = holm([*(each.p for each in gains.values()), *(each.p for each in headline)])
    return corrected[: len(gains)], int(np.isfinite(corrected).sum())


def _key(pair: Pair) -> frozenset[str]:
    return frozenset(condition.name for condition in pair)


def _pairs_of_report(results: Results) -> list[Pair]:
    """Return all pairs that the report compares or chooses from.

    The section about an axis compares each point of a line with the best one. Any of them may turn
    out to be the best, so all pairs of the line count.
    """
    pairs: list[Pair] = []
    if "quality" in results.study.sections:
        pairs += pairs_of(conditions_of(results))
    axis = numeric_axis(results)
    if "axis" in results.study.sections and axis:
        for line in lines_along(axis, scored_conditions(results)).values():
            pairs += combinations(line, 2)
    return pairs


def _uncorrected(results: Results, pairs: list[Pair]) -> list[Comparison]:
    """Compare each pair, with p-values that are not corrected."""
    both = [_shared(results, *pair) for pair in pairs]
    found = []
    for (one, other), items in zip(both, _over_items(results, both), strict=True):
        shared = list(one.scores.index.intersection(other.scores.index))
        means = one.mean, other.mean
        seeds = Interval(means[0] - means[1])
        if shared:
            seeds = difference_interval(one.scores, other.scores, results.measure.bounds)
        # Without a test over seeds, the one over items is about these runs.
        p = items.p if np.isnan(seeds.p) else float(np.maximum(items.p, seeds.p))
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


def pairs_of(conditions: list[Condition]) -> list[Pair]:
    """Return the pairs to compare: all arms at the same point, pairs with the first arm first.

    If there are many arms, each is compared with the study's first one only.
    """
    arms = list(dict.fromkeys(condition.arm for condition in conditions))
    pairs = [
        (one, other)
        for one, other in combinations(conditions, 2)
        if one.arm != other.arm and one.point == other.point
    ]
    if len(arms) > MOST_ARMS:
        return [pair for pair in pairs if pair[0].arm == arms[0]]
    return sorted(pairs, key=lambda pair: pair[0].arm != arms[0])


def about(results: Results, comparisons: list[Comparison]) -> str:
    """Return how the comparisons of a report are made, as sentences of a note."""
    if not comparisons:
        return ""
    tests = comparisons[0].tests
    corrected = (
        f" It is corrected for all {tests} comparisons of this report (Holm)." if tests > 1 else ""
    )
    resamples = f"{resamples_of(results.measure):,} resamples{resampled_clusters(results)}"
    return (
        " A model is called better than another only if all rules of a fair comparison, except "
        "those about measured times, were kept and two tests at 5% show the difference: a paired "
        f"bootstrap over test items (seeds pooled; {resamples}) and a paired t "
        f"test over the seeds that both have. p is the larger of the two p-values. That of the "
        f"bootstrap can be no smaller than its number of resamples allows.{corrected} The "
        "intervals are those of single comparisons."
    )


def resampled_clusters(results: Results) -> str:
    """Return what the resamples consist of: " of 31 clusters of items"."""
    sizes = sorted({len(np.unique(each)) for each in results.clusters.values()})
    if not sizes:
        return " of single items, which are assumed to be independent"
    return f" of {listed(f'{size:,}' for size in sizes)} clusters of items"
