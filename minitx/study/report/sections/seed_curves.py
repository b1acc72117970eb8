"""Show how each seed learns, one panel for each point of the grid.

A mean over seeds would hide that some of them learn suddenly and others not at all.
"""

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import count, listed
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_values,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of, reached_goal
from minitx.study.results.results import Results

MOST_PANELS = 4


def section(results: Results) -> Section | None:
    measure = results.measure
    metric = f"val/{measure.name}"
    if metric not in results.curves:
        return None
    parts = [_curves(results, condition, metric) for condition in conditions_of(results)]
    table = pd.concat(parts, ignore_index=True)
    if not len(table):
        return None
    points = list(dict.fromkeys(table["point"]))
    shown, hidden = points[-MOST_PANELS:], points[:-MOST_PANELS]
    left_out = f" The table also has {listed(hidden)}." if hidden else ""
    return Section(
        name="seed_curves",
        title="How each seed learns",
        finding=_finding(results),
        table=table,
        figure=_figure(results, table, shown, metric),
        note=(
            f"{measure.words.capitalize()} on val at each validation. Each line is a seed, and its "
            f"mark is where the seed stops.{left_out}"
        ),
    )


def _finding(results: Results) -> str:
    """Count the seeds that reach the goal, if there is one."""
    seeds = pd.concat([condition.finished for condition in conditions_of(results)])
    reached = int(reached_goal(seeds).sum())
    return f"{reached} of {count(len(seeds), 'run')} reach the goal" if reached else ""


def _curves(results: Results, condition: Condition, metric: str) -> pd.DataFrame:
    """Return a row for each validation of each finished seed."""
    seeds = condition.finished[["key", "seed"]]
    found = results.curves.merge(seeds, on="key").dropna(subset=[metric])
    columns = found[["seed", "step", "tokens_seen", metric]]
    columns.insert(0, "arm", condition.arm)
    columns.insert(1, "point", condition.place)
    return columns


def _figure(results: Results, table: pd.DataFrame, points: list[str], metric: str) -> Figure:
    figure, each = panels(len(points))
    own = styles(table["arm"])
    for axes, point in zip(each, points, strict=True):
        for (arm, _), line in table[table["point"] == point].groupby(["arm", "seed"], sort=False):
            style = own[str(arm)]
            look = style.drawing | {"linewidth": 1.2, "markersize": 5, "markevery": [-1]}
            axes.plot(line["step"], line[metric], **look)
        axes.set_xlim(left=0)
        plain_numbers(axes.xaxis)
        scale_values(axes.yaxis, results.measure)
        if results.measure.is_fraction:
            axes.set_ylim(-0.02, 1.04)
        name_axes(axes, "steps", point or f"{results.measure.words} on val")
    return finish(figure, f"{results.title}: {results.measure.words} on val, each seed", own)
