"""The conditions of a study's grid: an arm at a point of the grid, with the seeds that count."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from minitx.study.formatting import at, at_each, listed
from minitx.study.results.results import FINISHED, Results


@dataclass(frozen=True)
class Condition:
    """An arm at a point of the grid, which has a value for each of the study's `axes`.

    `runs` are those that count, finished or not: a row for each seed.
    """

    arm: str
    axes: tuple[str, ...]
    point: tuple[Any, ...]
    runs: pd.DataFrame

    @property
    def place(self) -> str:
        """The point in words: "8 heads"; nothing where there is no grid."""
        return ", ".join(map(at, self.axes, self.point))

    @property
    def name(self) -> str:
        return f"{self.arm} with {self.place}" if self.axes else self.arm

    @property
    def finished(self) -> pd.DataFrame:
        return self.runs[self.runs["status"] == FINISHED]

    def values(self, column: str) -> np.ndarray:
        """A column of the finished runs, what is known of it: float64 (seeds,)."""
        if column not in self.runs:
            return np.empty(0)
        return self.finished[column].dropna().to_numpy(float)

    def mean(self, column: str) -> float:
        """NaN where nothing is known."""
        values = self.values(column)
        return float(values.mean()) if len(values) else np.nan

    def median(self, column: str) -> float:
        """Of a time, which anything else on the machine makes longer; NaN if nothing is known."""
        values = self.values(column)
        return float(np.median(values)) if len(values) else np.nan

    @property
    def corpus(self) -> str | None:
        """The fingerprint of what the finished runs were trained and tested on."""
        known = self.finished.get("data_fingerprint", pd.Series(dtype=str)).dropna()
        return str(known.iloc[0]) if len(known) else None

    def items(self, results: Results) -> np.ndarray | None:
        """What the test items add, (seeds, n, k), of the seeds for which it is known."""
        found = [results.items[key] for key in self.finished["key"] if key in results.items]
        return np.stack(found) if found else None

    def without(self, axis: str) -> tuple[str, tuple[Any, ...]]:
        """The arm and the point without one axis: conditions that share them lie along it."""
        rest = (value for name, value in zip(self.axes, self.point, strict=True) if name != axis)
        return self.arm, tuple(rest)

    def on(self, axis: str) -> Any:
        """Where it lies on an axis."""
        return self.point[self.axes.index(axis)]


def conditions_of(results: Results) -> list[Condition]:
    """All conditions of the plan, in its order: also those of which nothing is known."""
    return [
        replace(condition, runs=condition.runs[condition.runs["chosen"]])
        for condition in planned(results)
    ]


def planned(results: Results) -> list[Condition]:
    """The same with all of their runs, also those of the sweep that do not count."""
    axes = tuple(results.axes)
    return [
        Condition(arm, axes, tuple(map(plain, point)), runs)
        for (arm, *point), runs in results.runs.groupby(["arm", *axes], sort=False, dropna=False)
    ]


def plain(value: Any) -> Any:
    """A value of a table as the study's file has it: pandas keeps null as NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


def places(conditions: list[Condition]) -> str:
    """Where conditions lie, in words: "2, 4 and 8 heads"."""
    if conditions and len(conditions[0].axes) == 1:
        return at_each(conditions[0].axes[0], [condition.point[0] for condition in conditions])
    return listed(
        [
            f"({condition.place})" if conditions[0].axes else condition.place
            for condition in conditions
        ]
    )


def lines_along(axis: str, conditions: list[Condition]) -> dict[str, list[Condition]]:
    """Cells that differ on one axis only, in its order, under the name of what they share."""
    lines: dict[str, list[Condition]] = {}
    for condition in conditions:
        others = replace(
            condition,
            axes=tuple(name for name in condition.axes if name != axis),
            point=condition.without(axis)[1],
        )
        lines.setdefault(others.name, []).append(condition)
    return {
        name: sorted(line, key=lambda condition: condition.on(axis)) for name, line in lines.items()
    }
