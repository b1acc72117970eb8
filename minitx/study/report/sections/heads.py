"""What the heads of attention do: how wide they look, how they differ, how many could go."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from minitx.inspection.importance import TOLERATED
from minitx.study.formatting import axis_name
from minitx.study.report.sections import Section
from minitx.study.report.sections.axis import numeric_axis, spell
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.conditions import Condition, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import Interval, mean_interval

ENTROPY, DIVERSITY = "mean entropy, nats", "mean distance between heads"
PRUNABLE = f"heads that can go for {TOLERATED:.0%} of the loss"
MEASURES = (ENTROPY, DIVERSITY, PRUNABLE)

Found = dict[str, dict[str, Interval]]  # by the name of a condition, what is known of its heads


def section(results: Results) -> Section | None:
    conditions = conditions_of(results)
    found = {condition.name: _measures(results, condition) for condition in conditions}
    conditions = [condition for condition in conditions if found[condition.name]]
    if not conditions:
        return None
    axis = numeric_axis(results)
    return Section(
        name="heads",
        title="What the heads do",
        table=_table(conditions, found),
        figure=_figure(results, axis, lines_along(axis, conditions), found) if axis else None,
        sentences=(
            [_changes(name, line, found) for name, line in lines_along(axis, conditions).items()]
            if axis
            else [
                f"{condition.name}: {_listed(found[condition.name])}." for condition in conditions
            ]
        ),
        note=(
            "Means over all heads of a model, then over seeds; bands: 95% intervals over seeds "
            "(t). Entropy: of the weights of a query, 0 where it looks at one token alone. "
            "Distance: the total variation between the weights of two heads of a layer, 0 for "
            "the same and 1 for heads that never look at the same token. Heads that can go: the "
            "least important ones, switched off one after the other until the loss on a part of "
            f"val is more than {TOLERATED:.0%} worse (Michel et al. 2019, section 4); of few heads "
            "only large shares can go."
        ),
    )


def prunable(pruning: pd.DataFrame) -> float:
    """The share of heads that can be switched off before the loss is 1% worse, 0 to 1.

    `pruning` has a row for every number of heads that were switched off, with their `share` of all
    and the `cost` as a share of the loss.
    """
    ordered = pruning.sort_values("heads_switched_off")
    lost = (ordered["cost"] > TOLERATED).to_numpy()
    within = int(lost.argmax()) if lost.any() else len(lost)
    return float(ordered["share"].iloc[within - 1]) if within else 0.0


def _measures(results: Results, condition: Condition) -> dict[str, Interval]:
    """Over the seeds of a condition; empty if its model has no heads, or none was measured."""
    values: dict[str, list[float]] = {}
    for key in condition.finished["key"]:
        tables = results.details.get(key, {})
        heads, pruning = tables.get("heads"), tables.get("pruning")
        if heads is not None and len(heads):
            values.setdefault(ENTROPY, []).append(heads["entropy"].mean())
            # A layer with one head has nothing that it differs from.
            if "diversity" in heads and heads["diversity"].notna().any():
                values.setdefault(DIVERSITY, []).append(heads["diversity"].mean())
        if pruning is not None and len(pruning):
            values.setdefault(PRUNABLE, []).append(prunable(pruning))
    return {name: mean_interval(np.array(each, float)) for name, each in values.items()}


def _table(conditions: list[Condition], found: Found) -> pd.DataFrame:
    rows = []
    for condition in conditions:
        row: dict[str, object] = {"arm": condition.name}
        for name in MEASURES:
            interval = found[condition.name].get(name, Interval(np.nan))
            row |= {
                name: interval.value,
                f"{name}: low": interval.low,
                f"{name}: high": interval.high,
            }
        rows.append(row | {"seeds": len(condition.finished)})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _changes(arm: str, line: list[Condition], found: Found) -> str:
    """How each measure changes from the first to the last point at which it is known."""
    changes = []
    for name in MEASURES:
        known = [condition for condition in line if name in found[condition.name]]
        if known:
            values = [
                _spelt(name, found[condition.name][name].value)
                for condition in (known[0], known[-1])
            ]
            since = f" ({known[0].place})" if known[0] is not line[0] else ""
            changes.append(f"{name} {values[0]}{since} to {values[1]}")
    return f"{arm}, {line[0].place} to {line[-1].place}: {'; '.join(changes)}."


def _listed(measures: dict[str, Interval]) -> str:
    return "; ".join(
        f"{name} {_spelt(name, interval.value)}" for name, interval in measures.items()
    )


def _spelt(measure: str, value: float) -> str:
    return f"{value:.0%}" if measure == PRUNABLE else f"{value:.2f}"


def _figure(results: Results, axis: str, lines: dict[str, list[Condition]], found: Found) -> Figure:
    figure, each = panels(len(MEASURES), width=3.1, height=2.7)
    own = styles(lines)
    for axes, name in zip(each, MEASURES, strict=True):
        for arm, line in lines.items():
            known = [condition for condition in line if name in found[condition.name]]
            values = [found[condition.name][name] for condition in known]
            draw_line(axes, own[arm], [condition.on(axis) for condition in known], values)
        tried = [condition.on(axis) for line in lines.values() for condition in line]
        scale_steps(axes.xaxis, tried, partial(spell, axis))
        if name != ENTROPY:
            axes.set_ylim(-0.02, 1.04)  # so that points at the ends are seen whole
        if name == PRUNABLE:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        name_axes(axes, axis_name(axis), name)
    return finish(figure, f"{results.study.name} on {results.task}: what the heads do", own)
