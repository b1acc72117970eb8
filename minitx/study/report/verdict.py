"""What a report says about two models: a verdict, with its figures in a sentence and a table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from minitx.drawing.formatting import count, listed
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import Measure
from minitx.study.results.conditions import Condition, places
from minitx.study.statistics.intervals import LEAST_SEEDS
from minitx.study.statistics.multiple import LEVEL


class Verdict(StrEnum):
    """What the first of two models is, compared with the second."""

    BETTER = "better"
    WORSE = "worse"
    # The difference is shown, but a rule was not kept, or there are too few seeds.
    AHEAD = "ahead in these runs"
    BEHIND = "behind in these runs"
    NOT_SHOWN = "not shown"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Comparison:
    """Two conditions and the difference of their scores, first minus second.

    `shared` are the seeds that both have, which are compared. `means` are the scores over them, or
    over all seeds if there are none. `items` is the difference of the pooled runs, with its
    interval over test items, and `seeds` that of the means, with its interval over seeds.

    `p` is the p-value of the difference, corrected for all `tests` of the report. `claim` is
    whether the report may call a model better.
    """

    first: Condition
    second: Condition
    measure: Measure
    shared: list[int]
    means: tuple[float, float]
    items: Interval
    seeds: Interval
    p: float = np.nan
    tests: int = 1
    claim: bool = False

    @property
    def verdict(self) -> Verdict:
        if np.isnan(self.seeds.value) or np.isnan(self.items.value):
            return Verdict.NOT_COMPARED
        if not is_shown(self.items, self.seeds, self.p):
            return Verdict.NOT_SHOWN
        if self.claim and self.seeds.known:
            return Verdict.BETTER if self._first_leads else Verdict.WORSE
        return Verdict.AHEAD if self._first_leads else Verdict.BEHIND

    def turned(self) -> "Comparison":
        """Return the same with the conditions in the other order."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            means=self.means[::-1],
            items=-self.items,
            seeds=-self.seeds,
        )

    @property
    def _first_leads(self) -> bool:
        return (self.seeds.value < 0) == self.measure.lower_is_better

    def sentence(self, first: str = "", second: str = "") -> str:
        """Return the verdict with its figures. The names are those of the conditions, or these."""
        names, means = (first or self.first.name, second or self.second.name), self.means
        if self.verdict is Verdict.NOT_COMPARED:
            return self._not_compared(names)
        if not self._first_leads:
            names, means = names[::-1], means[::-1]
        one, other = names
        if self.verdict in (Verdict.BETTER, Verdict.WORSE):
            claim = f"{one} is better than {other}"
        elif self.verdict is Verdict.NOT_SHOWN:
            claim = f"No difference is shown between {one} and {other}"
        else:
            claim = f"{one} had a {self.measure.direction} mean than {other} in these runs"
            claim += "" if self.seeds.known else "; other seeds may differ"
        shared, spell = len(self.shared), self.measure.difference
        figures = evidence(self.items, self.seeds, shared, self.p, self.tests, spell)
        return f"{claim}: {self._effect(means)} ({figures}){self._left_out()}."

    def _effect(self, means: tuple[float, float]) -> str:
        """Format both scores and their difference, absolute and relative."""
        one, other = means
        size = abs(one - other)
        figures = self.measure.pair(one, other)
        if not size:
            return f"{figures}, exactly equal"
        # A ratio of accuracies says little that the accuracies do not.
        right = self.measure.is_fraction and not self.measure.lower_is_better
        relative = other and not right
        ratio = f" or {size / abs(other):.1%}" if relative else ""
        unit = " percentage points" if self.measure.is_fraction else ""
        direction = "lower" if one < other else "higher"
        return f"{figures}, {direction} by {self.measure.difference(size)}{unit}{ratio}"

    def _left_out(self) -> str:
        """Describe the seeds that only one of the two has."""
        parts = []
        for condition in (self.first, self.second):
            planned = len(condition.runs)
            left = planned - len(self.shared)
            if left and self.shared:
                parts.append(f"{left} of {count(planned, 'seed')} of {condition.name}")
        return (
            f"; left out, because they failed, are missing or have no counterpart: {listed(parts)}"
            if parts
            else ""
        )

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


def larger_p(items: Interval, seeds: Interval) -> float:
    """Return the larger p-value of both tests, or that over items if too few seeds have one."""
    return items.p if np.isnan(seeds.p) else float(np.maximum(items.p, seeds.p))


def is_shown(items: Interval, seeds: Interval, p: float) -> bool:
    """Return whether both tests show a difference, on the same side. `p` is corrected."""
    return p <= LEVEL and items.value * seeds.value > 0


def evidence(
    items: Interval,
    seeds: Interval,
    shared: int,
    p: float,
    tests: int,
    spell: Callable[[float], str],
) -> str:
    """Return both intervals of a difference, with the sign that makes it positive, and p.

    `items` is over test items, and `seeds` over `shared` seeds. `p` was corrected for all `tests`
    of the report. `spell` formats the ends.
    """
    if seeds.value < 0:
        items, seeds = -items, -seeds
    over = f"over {count(shared, 'shared seed')}"
    intervals = {"over test items": items, over: seeds}
    parts = [
        f"{what} {spell(each.low)} to {spell(each.high)}"
        for what, each in intervals.items()
        if each.known
    ]
    words = [f"95% interval {', '.join(parts)}"] if parts else []
    if not seeds.known:
        words.append(f"{over}, {no_interval(shared)}")
    if not np.isnan(p):
        name = "corrected p" if tests > 1 else "p"
        name += "" if seeds.known else " over test items"
        words.append(f"{name} {probability(p)}")
    return "; ".join(words)


def no_interval(seeds: int) -> str:
    """Return why this number of seeds gives no interval."""
    return f"too {'few' if seeds < LEAST_SEEDS else 'similar'} for an interval"


def probability(p: float) -> str:
    """Format a p-value: "0.012", "below 0.001"."""
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


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
                "first's mean": each.means[0],
                "second's mean": each.means[1],
                "difference": each.seeds.value,
                "low over items": each.items.low,
                "high over items": each.items.high,
                "low over seeds": each.seeds.low,
                "high over seeds": each.seeds.high,
                "shared seeds": len(each.shared),
                "p over items": each.items.p,
                "p over seeds": each.seeds.p,
                "p, corrected": each.p,
                "first is": each.verdict.value,
            }
            for each in comparisons
        ]
    )
