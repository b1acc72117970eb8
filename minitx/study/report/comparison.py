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
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd

from minitx.study.report.differences import differences_of, resampled_clusters, resamples_of
from minitx.study.report.gains import GainDifference, gain_differences
from minitx.study.report.rules import may_claim
from minitx.study.report.verdict import Comparison
from minitx.study.results.axes import numeric_axis
from minitx.study.results.conditions import (
    Condition,
    Pair,
    conditions_of,
    lines_along,
    scored_conditions,
)
from minitx.study.results.doublings import measured_doublings
from minitx.study.results.learning import learning_of, successes_compared
from minitx.study.results.results import Results
from minitx.study.statistics.multiple import holm

MOST_ARMS = 5  # of which all pairs are compared


@dataclass(frozen=True)
class _Family:
    """All tests that the sections of a report make, with p-values that are corrected together.

    `scores` are comparisons by the headline measure, `gains` are the `gain_differences`, and
    `successes` is the table of `successes_compared`. `tests` is the number of p-values that are
    known.
    """

    scores: dict[frozenset[str], Comparison]
    gains: list[GainDifference]
    successes: pd.DataFrame
    tests: int


@lru_cache(maxsize=1)  # several sections of a report ask, and the bootstrap takes a while
def _family_of(results: Results) -> _Family:
    sections = results.study.sections
    pairs = {_key(pair): pair for pair in _pairs_of_report(results)}
    scores = differences_of(results, list(pairs.values()))
    gains: list[GainDifference] = []
    successes = pd.DataFrame()
    if "doublings" in sections:
        gains = gain_differences(measured_doublings(results), pairs_of(conditions_of(results)))
    if "success" in sections:
        successes = successes_compared(learning_of(results)[1])
    kinds = [
        [each.p for each in scores],
        [each.p for each in gains],
        list(successes.get("p", [])),
    ]
    corrected = holm([p for kind in kinds for p in kind])
    of_scores, of_gains, of_successes = np.split(corrected, np.cumsum([*map(len, kinds)])[:-1])
    tests = int(np.isfinite(corrected).sum())
    return _Family(
        {
            key: replace(each, p=float(p), tests=tests)
            for key, each, p in zip(pairs, scores, of_scores, strict=True)
        },
        [replace(each, p=float(p)) for each, p in zip(gains, of_gains, strict=True)],
        successes.assign(**{"corrected p": of_successes}),
        tests,
    )


def compare(results: Results, pairs: Iterable[Pair]) -> list[Comparison]:
    """Compare each pair by the headline measure, with p-values that are corrected.

    The pairs are among those that the sections of the report compare.
    """
    scores, claim = _family_of(results).scores, may_claim(results)
    found = [(pair[0].name, scores[_key(pair)]) for pair in pairs]
    turned = (each if each.first.name == first else each.turned() for first, each in found)
    return [replace(each, claim=claim) for each in turned]


def compared_gains(results: Results) -> list[GainDifference]:
    """Return the `gain_differences` with p-values that are corrected."""
    return _family_of(results).gains


def compared_successes(results: Results) -> pd.DataFrame:
    """Return the table of `successes_compared` with a column "corrected p"."""
    return _family_of(results).successes


def number_of_tests(results: Results) -> int:
    """Return for how many tests the p-values of the report are corrected."""
    return _family_of(results).tests


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
