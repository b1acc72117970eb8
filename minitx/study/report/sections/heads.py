"""Describe attention heads: their entropy, their diversity, and how many could be removed."""

from functools import partial
from math import inf

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import listed
from minitx.inspection.importance import TOLERATED
from minitx.metrics.bootstrap import Interval
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    percent_axis,
    scale_steps,
    styles,
)
from minitx.study.results.axes import axis_name, numeric_axis, spell
from minitx.study.results.conditions import Condition, Lines, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import LEAST_SEEDS, mean_interval

ENTROPY, DIVERSITY = "mean entropy, nats", "mean distance between heads"
PRUNABLE = f"heads that can be removed for a {TOLERATED:.0%} higher loss"
MEASURES = {ENTROPY: (0, inf), DIVERSITY: (0, 1), PRUNABLE: (0, 1)}  # with their bounds

Found = dict[str, dict[str, Interval]]  # the measures of heads, by the name of a condition


def section(results: Results) -> Section | None:
    found = {condition.name: _measures(results, condition) for condition in conditions_of(results)}
    conditions = [condition for condition in conditions_of(results) if found[condition.name]]
    if not conditions:
        return None
    axis = numeric_axis(results)
    lines = lines_along(axis, conditions) if axis else {}
    return Section(
        name="heads",
        title="What the heads do",
        finding=_finding(conditions, found),
        table=_table(conditions, found),
        figure=_figure(results, axis, lines, found) if axis else None,
        sentences=[_changes(name, line, found) for name, line in lines.items()]
        or [_summary(name, measures) for name, measures in found.items() if measures],
        note=(
            "Means over all heads of a model, then over seeds; bands: 95% intervals over "
            f"{LEAST_SEEDS} seeds or more (Student's t, on the log scale for the entropy, on the "
            "logit scale for the others). Entropy: of the weights of a query; 0 if it attends to "
            "one token only. Distance: the total variation between the weights of two heads of a "
            "layer; 0 for equal weights, 1 for heads that never attend to the same token. Heads "
            "that can be removed: the least important heads, switched off one after the other "
            f"until the loss on a part of val is more than {TOLERATED:.0%} worse (Michel et al. "
            "2019, section 4). A model with few heads can only lose large fractions of them."
        ),
    )


def prunable(pruning: pd.DataFrame) -> float:
    """Return the fraction of heads that can be switched off before the loss is more than 1% worse.

    `pruning` has a row for every number of switched-off heads, with their `share` of all heads and
    the `cost`, the relative increase of the loss.
    """
    ordered = pruning.sort_values("heads_switched_off")
    lost = (ordered["cost"] > TOLERATED).to_numpy()
    within = int(lost.argmax()) if lost.any() else len(lost)
    return float(ordered["share"].iloc[within - 1]) if within else 0.0


def _measures(results: Results, condition: Condition) -> dict[str, Interval]:
    """Return the measures over seeds, empty if the model has no heads or none was measured."""
    heads = condition.details(results, "heads")
    values = {
        ENTROPY: [table["entropy"].mean() for table in heads],
        # A layer with one head has no distance.
        DIVERSITY: [
            table["diversity"].mean()
            for table in heads
            if "diversity" in table and table["diversity"].notna().any()
        ],
        PRUNABLE: [prunable(table) for table in condition.details(results, "pruning")],
    }
    return {
        name: mean_interval(np.array(each, float), MEASURES[name])
        for name, each in values.items()
        if each
    }


def _finding(conditions: list[Condition], found: Found) -> str:
    """Name the fractions of heads that the first and the last model can lose."""
    known = [condition for condition in conditions if PRUNABLE in found[condition.name]]
    if not known:
        return ""
    ends = dict.fromkeys(condition.name for condition in (known[0], known[-1]))
    parts = [f"{_spelt(PRUNABLE, found[name][PRUNABLE])} of the heads of {name}" for name in ends]
    return f"{listed(parts)} can be removed for a {TOLERATED:.0%} higher loss"


def _table(conditions: list[Condition], found: Found) -> pd.DataFrame:
    rows = []
    for condition in conditions:
        row: dict[str, object] = {"arm": condition.name}
        for name in MEASURES:
            interval = found[condition.name].get(name, Interval(np.nan))
            row |= interval.columns(name, f"{name}: low", f"{name}: high")
        rows.append(row | {"seeds": len(condition.finished)})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _changes(arm: str, line: list[Condition], found: Found) -> str:
    """Describe how each measure changes from the first to the last point at which it is known."""
    changes = []
    for name in MEASURES:
        known = [condition for condition in line if name in found[condition.name]]
        if known:
            start, end = (
                _spelt(name, found[condition.name][name]) for condition in (known[0], known[-1])
            )
            since = f" ({known[0].place})" if known[0] is not line[0] else ""
            changes.append(f"{name} {start}{since} to {end}")
    return f"{arm}, {line[0].place} to {line[-1].place}: {'; '.join(changes)}."


def _summary(name: str, measures: dict[str, Interval]) -> str:
    parts = [f"{measure} {_spelt(measure, interval)}" for measure, interval in measures.items()]
    return f"{name}: {'; '.join(parts)}."


def _spelt(measure: str, interval: Interval) -> str:
    return f"{interval.value:.0%}" if measure == PRUNABLE else f"{interval.value:.2f}"


def _figure(results: Results, axis: str, lines: Lines, found: Found) -> Figure:
    figure, each = panels(len(MEASURES))
    own = styles(lines)
    for axes, name in zip(each, MEASURES, strict=True):
        for arm, line in lines.items():
            known = [condition for condition in line if name in found[condition.name]]
            values = [found[condition.name][name] for condition in known]
            draw_line(axes, own[arm], [condition.on(axis) for condition in known], values)
        tried = [condition.on(axis) for line in lines.values() for condition in line]
        scale_steps(axes.xaxis, tried, partial(spell, axis))
        if name != ENTROPY:
            axes.set_ylim(-0.02, 1.04)  # markers at 0 and 1 are not cut
        if name == PRUNABLE:
            percent_axis(axes.yaxis)
        name_axes(axes, axis_name(axis), name)
    return finish(figure, f"{results.title}: what the heads do", own)
