"""Which of two is better: the rule by which a report uses that word.

One is called better than the other only if both 95% intervals of their difference leave out zero:
that of a paired bootstrap over the test items, and that over the seeds. With one seed, or seeds
that are all alike, there is no second interval: what is said is said of these runs alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
import pandas as pd

from minitx.metrics.decomposable import Measure
from minitx.study.formatting import against, between, count, listed, size_of_change
from minitx.study.results.conditions import Condition
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import (
    FEW_RESAMPLES,
    RESAMPLES,
    Interval,
    difference_interval,
    percentile_interval,
    resampled_scores,
)

MOST_ARMS = 5  # of which every two are compared


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "not shown"
    # A difference over test items, and nothing known over seeds: there is one, or all are alike.
    ONE_SEED = "these runs only"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Comparison:
    """Two conditions of the grid and the difference of their scores, the first less the second.

    The value of `items` is of the runs pooled, that of `seeds` of the means over seeds, which is
    what tables show.
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
        if not (self.items.leaves_out_zero and same_side):
            return Verdict.NOT_SHOWN
        if not self.seeds.known:
            return Verdict.ONE_SEED
        if not self.seeds.leaves_out_zero:
            return Verdict.NOT_SHOWN
        return Verdict.BETTER if self._first_leads else Verdict.WORSE

    @property
    def _first_leads(self) -> bool:
        return (self.seeds.value < 0) == self.measure.lower_is_better

    def sentence(self, first: str = "", second: str = "") -> str:
        """The verdict with its figures; the two have their conditions' names, or these."""
        names = first or self.first.name, second or self.second.name
        if self.verdict is Verdict.NOT_COMPARED:
            return self._not_compared(names)
        ahead, behind = (names, (self.first, self.second)), (names[::-1], (self.second, self.first))
        sides, conditions = ahead if self._first_leads else behind
        better, worse = sides
        claim, effect = self._claim(better, worse), self._effect(conditions)
        return f"{claim}: {effect} ({self._intervals()}){self._left_out()}."

    def _claim(self, better: str, worse: str) -> str:
        if self.verdict is Verdict.ONE_SEED:
            return f"{better} did better than {worse} in these runs, not shown for other seeds"
        if self.verdict is Verdict.NOT_SHOWN:
            return f"No difference is shown between {better} and {worse}"
        return f"{better} is better than {worse}"

    def _effect(self, conditions: tuple[Condition, Condition]) -> str:
        """Both figures, and how far the first of the two is from the second, also as a share."""
        one, other = (condition.mean(f"test/{self.measure.name}") for condition in conditions)
        size = abs(one - other)
        figures = against(self.measure, one, other)
        if not size:
            return f"{figures}, exactly alike"
        share = f" or {size / abs(other):.1%}" if other and self._as_a_share else ""
        way = "lower" if one < other else "higher"
        return f"{figures}, {way} by {size_of_change(self.measure, size)}{share}"

    @property
    def _as_a_share(self) -> bool:
        """An accuracy that is ten times another says little that the two have not said."""
        return self.measure.name != "accuracy"

    def _intervals(self) -> str:
        """Both, of the difference as a size: as `_effect` has it, above zero."""
        items, seeds = self.items, self.seeds
        if self.seeds.value < 0:
            items, seeds = -items, -seeds
        one, other = (len(condition.finished) for condition in (self.first, self.second))
        over = f"{count(one, 'seed')} each" if one == other else f"{one} and {count(other, 'seed')}"
        return (
            "95% interval "
            + (f"over test items {between(self.measure, items)}, " if items.known else "")
            + (f"over {over} {between(self.measure, seeds)}" if seeds.known else f"{over}")
        )

    def _left_out(self) -> str:
        """Which seeds are not in it."""
        parts = []
        for condition in (self.first, self.second):
            planned, finished = len(condition.runs), len(condition.finished)
            if finished < planned:
                parts.append(
                    f"{planned - finished} of {count(planned, 'seed')} of {condition.name}"
                )
        return f"; left out, as they failed or are missing: {listed(parts)}" if parts else ""

    def _not_compared(self, names: tuple[str, str]) -> str:
        lacking = [
            name
            for name, condition in zip(names, (self.first, self.second), strict=True)
            if not len(condition.finished)
        ]
        reason = (
            f"no run of {listed(lacking)} finished"
            if lacking
            else "they were not given the same corpus and test items"
        )
        return f"{names[0]} and {names[1]} cannot be compared: {reason}."


def resamples_of(measure: Measure) -> int:
    """How often a test set is drawn: BLEU is computed row by row, so fewer times."""
    return FEW_RESAMPLES if measure.name == "bleu" else RESAMPLES


def compare(results: Results, pairs: Iterable[tuple[Condition, Condition]]) -> list[Comparison]:
    """Each pair by the headline measure. The items of one test set are drawn once for all models.

    Runs on the same corpus, cut into as many items, have the same test set.
    """
    pairs = list(pairs)
    conditions = {id(condition): condition for pair in pairs for condition in pair}
    pooled = {
        name: items.sum(axis=0)
        for name, condition in conditions.items()
        if (items := condition.items(results)) is not None
    }
    tests = {name: (items.shape, conditions[name].corpus) for name, items in pooled.items()}
    score = results.measure.score
    drawn: dict[int, np.ndarray] = {}
    for test in set(tests.values()):
        names = [name for name in pooled if tests[name] == test]
        stack = np.stack([pooled[name] for name in names])
        scores = resampled_scores(stack, score, resamples_of(results.measure))
        drawn |= dict(zip(names, scores, strict=True))

    def over_items(first: int, second: int) -> Interval:
        # Of test sets that differ no items are the same, so they cannot be drawn in pairs.
        if not (first in pooled and second in pooled):
            return Interval(np.nan)
        if tests[first] != tests[second]:
            return Interval(np.nan)
        value = results.measure.of(pooled[first]) - results.measure.of(pooled[second])
        return percentile_interval(value, drawn[first] - drawn[second])

    return [
        Comparison(
            first,
            second,
            results.measure,
            over_items(id(first), id(second)),
            difference_interval(first.values(results.metric), second.values(results.metric)),
        )
        for first, second in pairs
    ]


def pairs_of(conditions: list[Condition]) -> list[tuple[Condition, Condition]]:
    """The conditions to compare: all arms at the same point, those with the first arm first.

    Of many arms each is compared with the study's first one alone.
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


def table(comparisons: list[Comparison]) -> pd.DataFrame:
    """A row for each comparison, with both intervals of the difference."""
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
