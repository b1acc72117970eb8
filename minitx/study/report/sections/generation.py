"""Show the time to generate a token and the memory of training at each length."""

from math import sqrt

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from minitx.drawing.formatting import listed, number, three_digits
from minitx.study.report.sections import Section
from minitx.study.report.sections.scaling import BATCH, EQUAL, LENGTH
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_steps,
    styles,
)
from minitx.study.results.results import Results

COSTS = {  # columns of the runs, with their names and units
    "latency_ms": ("Generation", "ms/token"),
    "peak_memory_mb": ("Memory of training", "MB"),
}
ROOM = 2.5  # an axis spans at least this factor to both sides of its middle

Curves = dict[str, dict[int, float]]  # the cost by arm and length


def section(results: Results) -> Section | None:
    runs = results.finished
    if LENGTH not in results.axes or results.study.measures != "speed" or runs.empty:
        return None
    if BATCH in runs:  # only training has a batch: the largest one in which all lengths fit
        sizes = runs.groupby(BATCH)[LENGTH].nunique()
        runs = runs[runs[BATCH] == sizes[sizes == sizes.max()].index.max()]
    others = [axis for axis in results.axes if axis not in (LENGTH, BATCH)]
    if others:
        runs = runs[(runs[others] == runs[others].iloc[0]).all(axis=1)]
    found = {column: _curves(runs, column) for column in COSTS if column in runs}
    curves = {column: each for column, each in found.items() if each}
    if not curves:
        return None
    columns = {LENGTH: "tokens of context"} | {c: ", ".join(COSTS[c]) for c in curves}
    medians = runs.groupby(["arm", LENGTH], sort=False)[list(curves)].median().reset_index()
    first = {axis: runs[axis].iloc[0] for axis in (*others, BATCH) if axis in runs}
    return Section(
        name="generation",
        title="How fast they generate, and the memory that training takes",
        finding=_finding(curves),
        table=medians.rename(columns=columns),
        figure=_figure(results, curves),
        sentences=[_comparison(column, each) for column, each in curves.items()],
        answers=len(curves),
        note=(
            "Medians over processes"
            + (f", with {listed(f'{k}={number(v)}' for k, v in first.items())}" if first else "")
            + ". Generation: the last token of the context after the others were read, one text. "
            "Memory: what training adds to Python and its libraries, or the peak of a GPU's "
            f"memory. Costs within a factor of {EQUAL:g} count as equal."
        ),
    )


def _curves(runs: pd.DataFrame, column: str) -> Curves:
    """Return the median cost of each arm at each length where it is known and above zero."""
    known = runs[runs[column] > 0]
    medians = known.groupby(["arm", LENGTH], sort=False)[column].median()
    arms = dict.fromkeys(known["arm"])
    return {arm: {int(k): float(v) for k, v in medians[arm].sort_index().items()} for arm in arms}


def _finding(curves: dict[str, Curves]) -> str:
    """Name the arms that generate fastest at the longest length that all of them have."""
    found = curves.get("latency_ms", {})
    shared = set.intersection(*map(set, found.values())) if len(found) > 1 else set()
    if not shared:
        return ""
    least = min(costs[max(shared)] for costs in found.values())
    fastest = [arm for arm, costs in found.items() if costs[max(shared)] < EQUAL * least]
    verb = "generates" if len(fastest) == 1 else "generate"
    return f"{listed(fastest)} {verb} fastest after {number(max(shared))} tokens"


def _comparison(column: str, curves: Curves) -> str:
    """Rank the arms at the shortest and at the longest length that all of them have."""
    name, unit = COSTS[column]
    shared = sorted(set.intersection(*map(set, curves.values())))
    if not shared:
        return f"{name}: no length was measured for all arms."
    ends = dict.fromkeys([shared[0], shared[-1]])  # they may be the same
    ranks = [f"at {number(end)} tokens {_ranking(curves, end, unit)}" for end in ends]
    return f"{name}: {'; '.join(ranks)}."


def _ranking(curves: Curves, length: int, unit: str) -> str:
    """List the arms in the order of their costs, as multiples of the lowest."""
    ordered = sorted(curves, key=lambda arm: curves[arm][length])
    least = curves[ordered[0]][length]
    equal = [arm for arm in ordered if curves[arm][length] < EQUAL * least]
    more = [
        f"{arm} {three_digits(curves[arm][length] / least)} times that"
        for arm in ordered[len(equal) :]
    ]
    verb = "takes" if len(equal) == 1 else "take about"
    return ", ".join([f"{listed(equal)} {verb} {three_digits(least)} {unit}", *more])


def _figure(results: Results, curves: dict[str, Curves]) -> Figure:
    figure, each = panels(len(curves))
    own = styles(dict.fromkeys(arm for found in curves.values() for arm in found))
    for axes, (column, found) in zip(each, curves.items(), strict=True):
        costs = [cost for line in found.values() for cost in line.values()]
        for arm, line in found.items():
            draw_line(axes, own[arm], line.keys(), line.values())
        scale_steps(axes.xaxis, {length for line in found.values() for length in line})
        axes.set_yscale("log")
        middle = sqrt(min(costs) * max(costs))  # small differences do not fill the axis
        axes.set_ylim(min(min(costs) / 1.2, middle / ROOM), max(max(costs) * 1.2, middle * ROOM))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.yaxis)
        name_axes(axes, "tokens of context", ", ".join(COSTS[column]))
    return finish(figure, results.title, own)
