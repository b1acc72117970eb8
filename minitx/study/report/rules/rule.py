"""What a rule of a fair comparison is, and helpers of those that check one."""

from dataclasses import dataclass

import pandas as pd

from minitx.study.results.results import Results

VARY_DATA = ("data.", "task", "model.context")  # keys that change the examples


@dataclass(frozen=True)
class Rule:
    """A rule, whether the study kept it, and why.

    A rule `of_time` is about the machine. It matters to measured times, and not to the quality of
    what was trained.
    """

    name: str
    kept: bool
    words: str
    of_time: bool = False


def by_data(results: Results, runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Group runs by the points of the grid that change the data."""
    axes = [axis for axis in results.axes if axis.startswith(VARY_DATA)]
    if not axes:
        return [("", runs)]
    return [(str(point), group) for point, group in runs.groupby(axes, sort=False, dropna=False)]
