"""How quality on val grows with the tokens that were seen, and with the time it took."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.metrics.decomposable import MEASURES, Measure
from minitx.study.formatting import listed, plain, seconds
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
from minitx.study.statistics.intervals import Interval, mean_interval

MOST_LINES = 8
LEAST_POINTS = 4  # of a curve, between which a straight line says something

TOKENS, SECONDS = "tokens seen", "training seconds"


def section(results: Results) -> Section | None:
    every = [condition for condition in conditions_of(results) if len(condition.finished)]
    conditions = [condition for condition in every if condition.point == every[-1].point]
    if len(every) <= MOST_LINES:
        conditions = every
    # Where outputs are scored there is no such curve, as nothing is generated at a validation.
    measure = results.measure
    if f"val/{measure.name}" not in results.curves:
        measure = MEASURES["loss"]
    metric = f"val/{measure.name}"
    tables = [_of_cell(results, condition, metric) for condition in conditions]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if table.empty:
        return None
    drawn = [condition for condition, rows in zip(conditions, tables, strict=True) if len(rows)]
    left_out = (
        f" Shown are the runs with {conditions[0].place}; the others are in runs.csv."
        if len(conditions) < len(every)
        else ""
    )
    return Section(
        name="curves",
        title="How they learn",
        table=table,
        figure=_figure(results, drawn, table, measure),
        sentences=_sentences(table, measure),
        note=(
            "On val, at each validation. Lines: means over seeds; bands: 95% intervals (t), "
            "where there are two seeds or more. Seconds are those of training alone, on the "
            f"machine below, with whatever else it did at the time.{left_out}"
        ),
    )


def _of_cell(results: Results, condition: Condition, metric: str) -> pd.DataFrame:
    """A row for each validation, over the seeds that had it."""
    curves = results.curves[results.curves["key"].isin(condition.finished["key"])]
    rows = []
    for step, at_step in curves.dropna(subset=[metric]).groupby("step"):
        interval = mean_interval(at_step[metric].to_numpy())
        rows.append(
            {
                "arm": condition.name,
                "step": step,
                TOKENS: at_step["tokens_seen"].mean(),
                SECONDS: at_step["train_seconds"].mean(),
                metric: interval.value,
                "low": interval.low,
                "high": interval.high,
                "seeds": len(at_step),
            }
        )
    return pd.DataFrame(rows)


def _sentences(table: pd.DataFrame, measure: Measure) -> list[str]:
    """Where the arms are after as many tokens as all have seen, and after as many seconds."""
    lines = dict(iter(table.groupby("arm", sort=False)))
    if len(lines) < 2 or min(map(len, lines.values())) < LEAST_POINTS:
        return []
    sentences = []
    for column, spell in ((TOKENS, lambda n: f"{n:,.0f} tokens"), (SECONDS, seconds)):
        shared = min(line[column].max() for line in lines.values())
        first = max(line[column].min() for line in lines.values())
        if shared < first:  # one was through before another was looked at for the first time
            continue
        values = [
            f"{name} {plain(measure, np.interp(shared, line[column], line[f'val/{measure.name}']))}"
            for name, line in lines.items()
        ]
        reached = (
            "that all of them have seen" if column == TOKENS else "that the fastest of them took"
        )
        sentences.append(
            f"After {spell(shared)}, {reached}, {measure.words} on val was: {listed(values)} "
            "(means over seeds, between validations along a straight line)."
        )
    return sentences


def _figure(
    results: Results, conditions: list[Condition], table: pd.DataFrame, measure: Measure
) -> Figure:
    figure, both = panels(2)
    own = styles_of(conditions)
    metric = f"val/{measure.name}"
    for axes, column in zip(both, (TOKENS, SECONDS), strict=True):
        for name, line in table.groupby("arm", sort=False):
            values = list(map(Interval, line[metric], line["low"], line["high"]))
            draw_line(axes, own[str(name)], line[column], values, markersize=4.5)
        # The means decide what is shown, so that one wide band does not press them flat.
        low, high = table[metric].min(), table[metric].max()
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axes.set_xlim(left=0)
        plain_numbers(axes.xaxis)
        scale_values(axes.yaxis, measure)
        name_axes(axes, column, f"{measure.words} on val")
    return finish(figure, f"{results.study.name} on {results.task}: learning", own)
