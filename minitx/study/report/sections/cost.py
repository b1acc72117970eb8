"""Show the costs of each arm next to its quality: parameters, operations, time and memory."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.config.tasks import TASKS
from minitx.drawing.formatting import three_digits
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_point,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_values,
    styles_of,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results

# Columns of the runs, and their names in the table.
COSTS = {
    "parameters": "parameters",
    "parameters_non_embedding": "without embeddings",
    "operations_per_token": "operations/token",
    "state_size": "numbers in the state",
    "tokens_per_second": "tokens/s in training",
    "train_seconds": "training seconds",
    "peak_memory_mb": "peak memory, MB",
}


def section(results: Results) -> Section | None:
    conditions = [condition for condition in conditions_of(results) if len(condition.finished)]
    if not conditions:
        return None
    objective = TASKS[results.task].objective
    costs = COSTS | {"latency_ms": f"latency, ms/{objective.unit}"}
    table = _table(results, conditions, costs)
    return Section(
        name="cost",
        title="What they cost",
        finding=_finding(table),
        table=table,
        figure=_figure(results, conditions, costs),
        sentences=_sentences(results, table),
        note=(
            "Medians over seeds. Operations: floating-point operations of a forward pass. "
            f"Latency: one {objective.answer}, batch size 1. "
            "Peak memory: the most that the process used, including Python and its libraries. "
            "Times were measured while the study ran."
        ),
    )


def _finding(table: pd.DataFrame) -> str:
    speed = "tokens/s in training"
    if len(table) < 2 or speed not in table or table[speed].isna().any():
        return ""
    return f"{table['arm'][table[speed].idxmax()]} trains fastest here"


def _table(results: Results, conditions: list[Condition], costs: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": condition.name,
                **{
                    name: condition.median(column)
                    for column, name in costs.items()
                    if column in results.runs
                },
                f"{results.measure.words}, mean": condition.mean(results.metric),
            }
            for condition in conditions
        ]
    ).dropna(axis="columns", how="all")


def _sentences(results: Results, table: pd.DataFrame) -> list[str]:
    """Describe each arm's speed and its ratio to that of the first arm."""
    objective = TASKS[results.task].objective
    sentences = []
    first = table.iloc[0]
    for column, what in (
        ("tokens/s in training", "trains at {} tokens/s"),
        (f"latency, ms/{objective.unit}", f"needs {{}} ms to {objective.to_answer}"),
    ):
        if column not in table or np.isnan(first[column]):
            continue
        others = [
            f"{row['arm']} {three_digits(row[column])} ({row[column] / first[column]:.2f} times "
            "that)"
            for _, row in table.iloc[1:].iterrows()
            if not np.isnan(row[column])
        ]
        claim = f"{first['arm']} {what.format(three_digits(first[column]))}"
        sentences.append("; ".join([claim, *others]) + ".")
    return sentences


def _figure(results: Results, conditions: list[Condition], costs: dict[str, str]) -> Figure | None:
    """Draw quality against the time of training and, if it is known, of generation."""
    shown = [
        column
        for column in ("train_seconds", "latency_ms")
        if all(len(condition.values(column)) for condition in conditions)
    ]
    if not shown:
        return None
    figure, each = panels(len(shown))
    own = styles_of(conditions)
    for axes, column in zip(each, shown, strict=True):
        for condition in conditions:
            quality = condition.score(results)
            cost = condition.median(column)
            draw_point(axes, own[condition.name], cost, quality.value, yerr=quality)
        axes.set_xlim(0, 1.12 * max(condition.median(column) for condition in conditions))
        plain_numbers(axes.xaxis)
        scale_values(axes.yaxis, results.measure)
        name_axes(axes, costs[column], results.measure.on_test)
    return finish(figure, f"{results.title}: quality and its cost", own)
