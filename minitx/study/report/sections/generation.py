"""Show the time to generate a token and the memory of training at each length."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import listed, number
from minitx.metrics.bootstrap import Interval
from minitx.study.report.ratios import EQUAL, is_equal, ratio_in, times
from minitx.study.report.sections import Section
from minitx.study.report.sections.scaling import BATCH, LENGTH
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    scale_steps,
    styles,
    ticks_at_1_2_5,
)
from minitx.study.results.results import Results
from minitx.study.statistics.ratios import ratio_interval

LATENCY, MEMORY = "latency_ms", "peak_memory_mb"
COSTS = {LATENCY: ("Generation time", "ms/token"), MEMORY: ("Memory of training", "MB")}
ROOM = 2.5  # an axis spans at least this factor to both sides of its middle

Costs = dict[str, dict[int, np.ndarray]]  # by arm and length, float64 (processes,)


def section(results: Results) -> Section | None:
    runs = results.finished
    if LENGTH not in results.axes or results.study.measures != "speed" or runs.empty:
        return None
    others = [axis for axis in results.axes if axis not in (LENGTH, BATCH)]
    if others:
        first = runs[others].iloc[0]
        runs = runs[((runs[others] == first) | (runs[others].isna() & first.isna())).all(axis=1)]
    # One text is generated, whatever the batch of training, so processes of all batches count.
    found = {LATENCY: _costs(runs, LATENCY), MEMORY: _costs(_largest_batch(runs), MEMORY)}
    costs = {column: each for column, each in found.items() if each}
    if not costs:
        return None
    ratios = pd.DataFrame(row for column, each in costs.items() for row in _ratios(column, each))
    points = {axis: runs[axis].iloc[0] for axis in others}
    where = f", with {listed(f'{axis}={number(v)}' for axis, v in points.items())}"
    batch = _largest_batch(runs)[BATCH].iloc[0] if BATCH in runs else None
    return Section(
        name="generation",
        title="How fast they generate, and the memory that training takes",
        finding=_finding(ratios),
        table=_table(costs),
        figure=_figure(results, costs),
        sentences=[_comparison(column, ratios) for column in costs] if len(ratios) else [],
        answers=len(costs) if len(ratios) else 0,
        more={"ratios": ratios} if len(ratios) else {},
        note=(
            f"Lines: medians over processes{where if points else ''}. Bands: from the lowest to "
            "the highest. Generation: the last token of the context after the others were read, "
            "one text; processes with all batches of training count, because it does not depend on "
            "them. Memory: what training adds to Python and its libraries, or the peak of a GPU's "
            "memory"
            + (f", with batches of {number(batch)}" if batch is not None else "")
            + ". Ratios: of geometric means, with Welch's t interval on logarithms over processes, "
            "if there are four or more that differ; each interval is that of a single comparison. "
            f"Costs within a factor of {EQUAL:g}, and those whose interval of the ratio includes "
            "1, count as equal."
        ),
    )


def _largest_batch(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with the largest batch in which all lengths fit."""
    if BATCH not in runs:
        return runs
    sizes = runs.groupby(BATCH)[LENGTH].nunique()
    return runs[runs[BATCH] == sizes[sizes == sizes.max()].index.max()]


def _costs(runs: pd.DataFrame, column: str) -> Costs:
    """Return the costs of each arm at each length where they are known and above zero."""
    if column not in runs:
        return {}
    known = runs[runs[column] > 0]
    found: Costs = {str(arm): {} for arm in dict.fromkeys(known["arm"])}
    for (arm, length), each in known.groupby(["arm", LENGTH]):
        found[arm][int(length)] = each[column].to_numpy(float)
    return found


def _table(costs: dict[str, Costs]) -> pd.DataFrame:
    """Return the median of each cost and its number of processes, by arm and length."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for column, arms in costs.items():
        for arm, lengths in arms.items():
            for length, values in lengths.items():
                name, unit = COSTS[column]
                row = rows.setdefault((arm, length), {"arm": arm, "tokens of context": length})
                row |= {f"{name}, {unit}": np.median(values), f"{name}, processes": len(values)}
    return pd.DataFrame(rows.values())


def _ratios(column: str, costs: Costs) -> list[dict[str, Any]]:
    """Return the cost of each arm as a multiple of the first arm's, at each length of both."""
    (first, reference), *others = costs.items()
    return [
        {"cost": COSTS[column][0], "arm": arm, "of": first, "tokens of context": length}
        | ratio_interval(values, reference[length]).columns("ratio")
        for arm, lengths in others
        for length, values in lengths.items()
        if length in reference
    ]


def _finding(ratios: pd.DataFrame) -> str:
    """Name the arms that generated faster than the first one at every length, or slower."""
    if ratios.empty:
        return ""
    found = ratios[ratios["cost"] == COSTS[LATENCY][0]]
    signs: dict[str, set[int]] = {}
    for row in found.to_dict("records"):
        sign = 0 if is_equal(ratio_in(row)) else int(np.sign(row["ratio"] - 1))
        signs.setdefault(row["arm"], set()).add(sign)
    parts = []
    for sign, word in ((-1, "faster"), (1, "slower")):
        if arms := [arm for arm, each in signs.items() if each == {sign}]:
            parts.append(f"{listed(arms)} generated {word} than {found['of'].iloc[0]}")
    return f"{'; '.join(parts)} in these runs at every length measured" if parts else ""


def _comparison(column: str, ratios: pd.DataFrame) -> str:
    """Compare the arms with the first one at the shortest and at the longest length."""
    name = COSTS[column][0]
    found = ratios[ratios["cost"] == name]
    if found.empty:
        return f"{name}: no length was measured for two arms."
    lengths = found["tokens of context"]
    parts = []
    for length in dict.fromkeys([lengths.min(), lengths.max()]):  # they may be the same
        rows = found[lengths == length].to_dict("records")
        alike = [row["arm"] for row in rows if is_equal(ratio_in(row))]
        each = [
            f"{row['arm']} {times(ratio_in(row), '')}" for row in rows if row["arm"] not in alike
        ]
        if alike:
            each.append(f"no difference is shown for {listed(alike)}")
        parts.append(f"at {number(length)} tokens, {', '.join(each)}")
    return f"{name}, relative to that of {found['of'].iloc[0]}: {'; '.join(parts)}."


def _figure(results: Results, costs: dict[str, Costs]) -> Figure:
    figure, each = panels(len(costs))
    own = styles(dict.fromkeys(arm for found in costs.values() for arm in found))
    for axes, (column, found) in zip(each, costs.items(), strict=True):
        for arm, line in found.items():
            ranges = [Interval(float(np.median(v)), v.min(), v.max()) for v in line.values()]
            draw_line(axes, own[arm], line.keys(), ranges)
        scale_steps(axes.xaxis, {length for line in found.values() for length in line})
        axes.set_yscale("log")
        values = np.concatenate([cost for line in found.values() for cost in line.values()])
        low, high = values.min(), values.max()
        middle = sqrt(low * high)  # small differences do not fill the axis
        axes.set_ylim(min(low / 1.2, middle / ROOM), max(high * 1.2, middle * ROOM))
        ticks_at_1_2_5(axes.yaxis)
        name_axes(axes, "tokens of context", ", ".join(COSTS[column]))
    return finish(figure, results.title, own)
