"""Compare two models, and decide whether a report calls one of them better.

One model is called better than another only if both 95% intervals of their difference exclude
zero: that of a paired bootstrap over test items, and that over seeds. With one seed, or if all
seeds are equal, there is no interval over seeds, and the report speaks of these runs only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
import pandas as pd

from minitx.drawing.formatting import count, listed
from minitx.metrics.bootstrap import Interval, percentile_interval, resampled_scores
from minitx.metrics.decomposable import Measure
from minitx.study.results.conditions import Condition, places
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import difference_interval

MOST_ARMS = 5  # of which all pairs are compared
RESAMPLES, FEW_RESAMPLES = 10_000, 1_000


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "not shown"
    # The test items show a difference, and no interval over seeds is known.
    ONE_SEED = "these runs only"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Comparison:
    """Two conditions and the difference of their scores, first minus second.

    `items` is the difference of the pooled runs, `seeds` that of the means over seeds, which are
    what the tables show.
    """

    first: Condition
    second: Condition
    measure: Measure
    items: Interval
    seeds: Interval

    @property
    def verdict(self) -> Verdict:
        if np.isnan(self.seeds.value) or np.isnan(self.items.value):
            return Verdict.NOT_COMPARED
        same_side = self.items.value * self.seeds.value > 0
        if not (self.items.excludes_zero and same_side):
            return Verdict.NOT_SHOWN
        if not self.seeds.known:
            return Verdict.ONE_SEED
        if not self.seeds.excludes_zero:
            return Verdict.NOT_SHOWN
        return Verdict.BETTER if self._first_leads else Verdict.WORSE

    @property
    def _first_leads(self) -> bool:
        return (self.seeds.value < 0) == self.measure.lower_is_better

    def sentence(self, first: str = "", second: str = "") -> str:
        """Return the verdict with its figures. The names are those of the conditions, or these."""
        names = first or self.first.name, second or self.second.name
        if self.verdict is Verdict.NOT_COMPARED:
            return self._not_compared(names)
        conditions = self.first, self.second
        if not self._first_leads:
            names, conditions = names[::-1], conditions[::-1]
        better, worse = names
        claim = {
            Verdict.ONE_SEED: f"{better} did better than {worse} in these runs; other seeds may "
            "differ",
            Verdict.NOT_SHOWN: f"No difference is shown between {better} and {worse}",
        }.get(self.verdict, f"{better} is better than {worse}")
        return f"{claim}: {self._effect(conditions)} ({self._intervals()}){self._left_out()}."

    def _effect(self, conditions: tuple[Condition, Condition]) -> str:
        """Format both scores and their difference, absolute and relative."""
        measure = self.measure
        one, other = (condition.mean(f"test/{measure.name}") for condition in conditions)
        size = abs(one - other)
        figures = measure.pair(one, other)
        if not size:
            return f"{figures}, exactly equal"
        # A ratio of accuracies says little that the accuracies do not.
        relative = other and measure.name != "accuracy"
        ratio = f" or {size / abs(other):.1%}" if relative else ""
        unit = " percentage points" if measure.is_fraction else ""
        direction = "lower" if one < other else "higher"
        return f"{figures}, {direction} by {measure.difference(size)}{unit}{ratio}"

    def _intervals(self) -> str:
        """Format both intervals, with the sign that makes the difference positive."""
        items, seeds = self.items, self.seeds
        if seeds.value < 0:
            items, seeds = -items, -seeds
        one, other = (len(condition.finished) for condition in (self.first, self.second))
        over = f"{count(one, 'seed')} each" if one == other else f"{one} and {count(other, 'seed')}"
        parts = [f"over test items {self._ends(items)}"] if items.known else []
        parts.append(f"over {over} {self._ends(seeds)}" if seeds.known else over)
        return f"95% interval {', '.join(parts)}"

    def _ends(self, interval: Interval) -> str:
        low, high = map(self.measure.difference, (interval.low, interval.high))
        return f"{low} to {high}"

    def _left_out(self) -> str:
        """Describe the seeds without figures."""
        parts = []
        for condition in (self.first, self.second):
            planned, finished = len(condition.runs), len(condition.finished)
            if finished < planned:
                parts.append(
                    f"{planned - finished} of {count(planned, 'seed')} of {condition.name}"
                )
        return f"; left out, because they failed or are missing: {listed(parts)}" if parts else ""

    def _not_compared(self, names: tuple[str, str]) -> str:
        lacking = [
            name
            for name, condition in zip(names, (self.first, self.second), strict=True)
            if not len(condition.finished)
        ]
        reason = (
            f"no run of {listed(lacking)} finished"
            if lacking
            else "their corpora or test items differ"
        )
        return f"{names[0]} and {names[1]} cannot be compared: {reason}."


def resamples_of(measure: Measure) -> int:
    """Return the number of resamples. BLEU gets fewer, because it is computed row by row."""
    return FEW_RESAMPLES if measure.name == "bleu" else RESAMPLES


def compare(results: Results, pairs: Iterable[tuple[Condition, Condition]]) -> list[Comparison]:
    """Compare each pair by the headline measure.

    All models on a test set are scored on the same resamples. Conditions have the same test set if
    they have the same corpus and the same number of items.
    """
    pairs = list(pairs)
    conditions = {id(condition): condition for pair in pairs for condition in pair}
    pooled = {
        name: items.sum(axis=0)
        for name, condition in conditions.items()
        if (items := condition.items(results)) is not None
    }
    tests = {name: (items.shape, conditions[name].corpus) for name, items in pooled.items()}
    measure = results.measure
    resampled: dict[int, np.ndarray] = {}
    for test in set(tests.values()):
        names = [name for name in pooled if tests[name] == test]
        stack = np.stack([pooled[name] for name in names])
        scores = resampled_scores(stack, measure.score, resamples_of(measure))
        resampled |= dict(zip(names, scores, strict=True))

    def over_items(first: int, second: int) -> Interval:
        paired = first in pooled and second in pooled and tests[first] == tests[second]
        if not paired:
            return Interval(np.nan)
        value = measure.of(pooled[first]) - measure.of(pooled[second])
        return percentile_interval(value, resampled[first] - resampled[second])

    return [
        Comparison(
            first,
            second,
            measure,
            over_items(id(first), id(second)),
            difference_interval(first.values(results.metric), second.values(results.metric)),
        )
        for first, second in pairs
    ]


def pairs_of(conditions: list[Condition]) -> list[tuple[Condition, Condition]]:
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


def places_by_verdict(comparisons: list[Comparison], forms: dict[Verdict, str]) -> str:
    """Return the points with each verdict in words: "worse with 1 head; not compared with 2 heads".

    `forms` has the words for each verdict, with {} for the points of the first conditions.
    """
    found: dict[Verdict, list[Condition]] = {}
    for each in comparisons:
        found.setdefault(each.verdict, []).append(each.first)
    return "; ".join(
        form.format(places(found[kind])) for kind, form in forms.items() if kind in found
    )


def table(comparisons: list[Comparison]) -> pd.DataFrame:
    """Return a row for each comparison, with both intervals of the difference."""
    return pd.DataFrame(
        [
            {
                "first": each.first.name,
                "second": each.second.name,
                "first's mean": each.first.mean(f"test/{each.measure.name}"),
                "second's mean": each.second.mean(f"test/{each.measure.name}"),
                "difference": each.seeds.value,
                "low over items": each.items.low,
                "high over items": each.items.high,
                "low over seeds": each.seeds.low,
                "high over seeds": each.seeds.high,
                "first's seeds": len(each.first.finished),
                "second's seeds": len(each.second.finished),
                "first is": each.verdict.value,
            }
            for each in comparisons
        ]
    )
