"""The conditions of a study: an arm at a point of the grid, with one run per seed."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval
from minitx.study.plan.definition import majority, rungs
from minitx.study.results.axes import at
from minitx.study.results.results import FINISHED, MISSING, Results
from minitx.study.statistics.intervals import mean_interval

Pair = tuple["Condition", "Condition"]
Lines = dict[str, list["Condition"]]  # conditions along an axis, by what they have in common


@dataclass(frozen=True)
class Condition:
    """An arm at a point of the grid, which has a value for each of the study's `axes`.

    `runs` has a row for each seed that counts, finished or not.
    """

    arm: str
    axes: tuple[str, ...]
    point: tuple[Any, ...]
    runs: pd.DataFrame

    @property
    def place(self) -> str:
        """The point in words: "8 heads"; empty without a grid."""
        return ", ".join(map(at, self.axes, self.point))

    @property
    def name(self) -> str:
        return f"{self.arm} with {self.place}" if self.axes else self.arm

    @property
    def finished(self) -> pd.DataFrame:
        return self.runs[self.runs["status"] == FINISHED]

    def values(self, column: str) -> np.ndarray:
        """Return the known values of a column over the finished runs: float64 (seeds,)."""
        if column not in self.runs:
            return np.empty(0)
        return self.finished[column].dropna().to_numpy(float)

    def by_seed(self, column: str) -> pd.Series:
        """Return the known values of a column over the finished runs, by their seeds."""
        if column not in self.runs:
            return pd.Series(dtype=float)
        return self.finished.set_index("seed")[column].dropna().astype(float)

    def score(self, results: Results) -> Interval:
        """Return the mean of the headline measure over seeds, with its interval."""
        return mean_interval(self.values(results.metric), results.measure.bounds)

    def mean(self, column: str) -> float:
        """Return the mean over seeds, NaN if no value is known."""
        values = self.values(column)
        return float(values.mean()) if len(values) else np.nan

    def median(self, column: str) -> float:
        """Return the median over seeds, for times, which disturbances can only lengthen.

        It is NaN if no value is known.
        """
        values = self.values(column)
        return float(np.median(values)) if len(values) else np.nan

    @property
    def corpus(self) -> str | None:
        """The fingerprint of the corpus that the finished runs were trained and tested on."""
        known = self.finished.get("data_fingerprint", pd.Series(dtype=str)).dropna()
        return str(known.iloc[0]) if len(known) else None

    def items(self, results: Results, seeds: Collection[int]) -> np.ndarray | None:
        """Return the terms of the score for each test item (seeds, n, k), or None."""
        runs = self.finished[self.finished["seed"].isin(seeds)]
        found = [results.items[key] for key in runs["key"] if key in results.items]
        return np.stack(found) if found else None

    def clusters(self, results: Results) -> np.ndarray | None:
        """Return the number of the cluster of each test item, int64 (n,), or None."""
        found = (results.clusters.get(key) for key in self.finished["key"])
        return next((each for each in found if each is not None), None)

    def details(self, results: Results, name: str) -> list[pd.DataFrame]:
        """Return a detail's table for each seed that has one, with the run's `key` as a column."""
        tables = {key: results.details.get(key, {}).get(name) for key in self.finished["key"]}
        return [
            table.assign(key=key)
            for key, table in tables.items()
            if table is not None and len(table)
        ]

    def without(self, axis: str) -> "Condition":
        """Return the condition without one of its axes, which names the line along that axis."""
        rest = {
            name: value for name, value in zip(self.axes, self.point, strict=True) if name != axis
        }
        return replace(self, axes=tuple(rest), point=tuple(rest.values()))

    def on(self, axis: str) -> Any:
        """Return the value on an axis."""
        return self.point[self.axes.index(axis)]


def conditions_of(results: Results) -> list[Condition]:
    """Return all conditions in the plan's order, including those without finished runs."""
    return [
        replace(condition, runs=condition.runs[condition.runs["chosen"]])
        for condition in planned(results)
    ]


def scored_conditions(results: Results) -> list[Condition]:
    """Return the conditions that have at least one test score."""
    return [each for each in conditions_of(results) if len(each.values(results.metric))]


def planned(results: Results) -> list[Condition]:
    """Return all conditions with all of their runs, including those of the sweep only."""
    axes = tuple(results.axes)
    return [
        Condition(arm, axes, tuple(map(plain, point)), runs)
        for (arm, *point), runs in results.runs.groupby(["arm", *axes], sort=False, dropna=False)
    ]


def reached_goal(runs: pd.DataFrame) -> pd.Series:
    """Return for each run whether it stopped because it reached its goal on val."""
    ended = runs["ended_by"] if "ended_by" in runs else pd.Series(index=runs.index, dtype=object)
    return ended == "goal"


def not_climbed(results: Results, arm: str) -> str:
    """Return the rungs at which an arm was not trained, because it failed before, in words."""
    if not results.study.ladder:
        return ""
    last = [each for each in conditions_of(results) if each.arm == arm][-1]
    if last.runs.empty or MISSING in set(last.runs["status"]) or majority(reached_goal(last.runs)):
        return ""
    [axis] = last.axes
    values = [rung[0].at[axis] for rung in rungs(results.study)]
    higher = values[values.index(last.on(axis)) + 1 :]
    return at(axis, *higher) if higher else ""


def plain(value: Any) -> Any:
    """Return a table's value as study.json has it: a Python type, and None instead of NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


def places(conditions: list[Condition]) -> str:
    """Return the points of conditions in words: "2, 4 and 8 heads"."""
    if conditions and len(conditions[0].axes) == 1:
        return at(conditions[0].axes[0], *(condition.point[0] for condition in conditions))
    return listed(f"({condition.place})" for condition in conditions)


def lines_along(axis: str, conditions: list[Condition]) -> Lines:
    """Group conditions that differ on one axis only, in its order, by the rest of their name."""
    lines: Lines = {}
    for condition in conditions:
        lines.setdefault(condition.without(axis).name, []).append(condition)
    return {name: sorted(line, key=lambda each: each.on(axis)) for name, line in lines.items()}
