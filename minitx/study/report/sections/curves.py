"""Show how quality on val improves with tokens, operations and training time."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import listed, seconds, three_digits
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import MEASURES, Measure
from minitx.study.report.rules.machine import NO_TIMES, is_shared
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_values,
    styles_of,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import LEAST_SEEDS, interval_words, mean_interval

MOST_LINES = 8
LEAST_POINTS = 4  # of a curve, for interpolation between its points to make sense

TOKENS, OPERATIONS, SECONDS = "tokens seen", "forward operations", "training seconds"


def section(results: Results) -> Section | None:
    every = [condition for condition in conditions_of(results) if len(condition.finished)]
    last = [condition for condition in every if condition.point == every[-1].point]
    conditions = every if len(every) <= MOST_LINES else last
    measure = measure_on_val(results)
    tables = {condition.name: _curve(results, condition, measure) for condition in conditions}
    drawn = [condition for condition in conditions if len(tables[condition.name])]
    if not drawn:
        return None
    table = pd.concat(tables.values(), ignore_index=True)
    shared = is_shared(results)
    costs = [TOKENS, OPERATIONS, *([] if shared else [SECONDS])]
    left_out = (
        f" The figure shows the runs with {conditions[0].place}; runs.csv has the others."
        if len(conditions) < len(every)
        else ""
    )
    return Section(
        name="curves",
        title="How they learn",
        finding=_finding(table, measure),
        table=table,
        figure=_figure(results, drawn, table, measure, costs),
        sentences=_sentences(table, measure, costs),
        note=(
            "On val, at each validation that all seeds of an arm reached. Lines: means over seeds; "
            f"bands: 95% intervals ({interval_words(measure.bounds)}) if there are {LEAST_SEEDS} "
            "seeds or more. Operations are those of forward passes over sequences of full length. "
            + (NO_TIMES if shared else "Seconds are training time only, on the machine below.")
            + left_out
        ),
    )


def measure_on_val(results: Results) -> Measure:
    """Return the measure of curves: the headline measure or, if val does not have it, the loss.

    Scores of generated outputs have no curve, because validation generates nothing.
    """
    known = f"val/{results.measure.name}" in results.curves
    return results.measure if known else MEASURES["loss"]


def _curve(results: Results, condition: Condition, measure: Measure) -> pd.DataFrame:
    """Return a row for each validation that all seeds reached.

    Later ones would be means over other seeds: those that take longest, if a run stops early.
    """
    metric = f"val/{measure.name}"
    if metric not in results.curves:  # no run has validated
        return pd.DataFrame()
    curves = results.curves[results.curves["key"].isin(condition.finished["key"])]
    operations = condition.mean("operations_per_token")
    seeds = curves["key"].nunique()
    return pd.DataFrame(
        [
            {
                "arm": condition.name,
                "step": step,
                TOKENS: at_step["tokens_seen"].mean(),
                OPERATIONS: at_step["tokens_seen"].mean() * operations,
                SECONDS: at_step["train_seconds"].mean(),
                **mean_interval(at_step[metric].to_numpy(), measure.bounds).columns(metric),
                "seeds": len(at_step),
            }
            for step, at_step in curves.dropna(subset=[metric]).groupby("step")
            if len(at_step) == seeds
        ]
    )


def _finding(table: pd.DataFrame, measure: Measure) -> str:
    """Say which arm is ahead at the last number of tokens at which all of them have a curve."""
    if table["arm"].nunique() < 2:
        return ""
    seen = table.groupby("arm")[TOKENS]
    shared = seen.max().min()
    if shared < seen.min().max():  # one arm ended before the first validation of another
        return ""
    at = {
        arm: np.interp(shared, line[TOKENS], line[f"val/{measure.name}"])
        for arm, line in table.groupby("arm", sort=False)
    }
    best = (min if measure.lower_is_better else max)(at, key=lambda arm: at[arm])
    return f"{best} has the {measure.best} mean after {shared:,.0f} tokens"


def _sentences(table: pd.DataFrame, measure: Measure, costs: list[str]) -> list[str]:
    """Rank all arms after the same tokens, after the same operations and after the same time."""
    lines = dict(iter(table.groupby("arm", sort=False)))
    if len(lines) < 2 or min(map(len, lines.values())) < LEAST_POINTS:
        return []
    sentences = []
    in_words = {
        TOKENS: (lambda n: f"{n:,.0f} tokens", "which all arms have seen"),
        OPERATIONS: (_in_words, "which all arms have done"),
        SECONDS: (seconds, "which the fastest arm took"),
    }
    for column in costs:
        spell, reached = in_words[column]
        shared = min(line[column].max() for line in lines.values())
        first = max(line[column].min() for line in lines.values())
        if not shared >= first:  # unknown, or one arm ended before the first validation of another
            continue
        found = {
            name: float(np.interp(shared, line[column], line[f"val/{measure.name}"]))
            for name, line in lines.items()
        }
        ranks = sorted(found, key=lambda name: found[name], reverse=not measure.lower_is_better)
        values = [f"{name} {measure.number(found[name])}" for name in ranks]
        sentences.append(
            f"After {spell(shared)}, {reached}, {measure.words} on val was: {listed(values)} "
            "(means over seeds, interpolated linearly between validations)."
        )
    return sentences


def _in_words(operations: float) -> str:
    return f"{three_digits(operations / 1e12)} trillion operations"


def _figure(
    results: Results,
    conditions: list[Condition],
    table: pd.DataFrame,
    measure: Measure,
    costs: list[str],
) -> Figure:
    """Draw the curves over tokens and over the last of the costs that is known."""
    known = [column for column in costs if table[column].notna().any()]
    columns = dict.fromkeys((TOKENS, known[-1]))
    figure, each = panels(len(columns))
    own = styles_of(conditions)
    metric = f"val/{measure.name}"
    for axes, column in zip(each, columns, strict=True):
        for name, line in table.groupby("arm", sort=False):
            values = map(Interval, line[metric], line["low"], line["high"])
            draw_line(axes, own[str(name)], line[column], values, markersize=4.5)
        # The range follows the means, so that one wide band does not flatten all curves.
        low, high = table[metric].min(), table[metric].max()
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axes.set_xlim(left=0)
        plain_numbers(axes.xaxis)
        scale_values(axes.yaxis, measure)
        name_axes(axes, column, f"{measure.words} on val")
    return finish(figure, f"{results.title}: learning", own)
