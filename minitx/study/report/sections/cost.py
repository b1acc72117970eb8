"""What each arm costs: parameters, operations, time and memory, beside its quality."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.config.tasks import TASKS
from minitx.drawing.figures import PAPER
from minitx.study.formatting import number
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_values,
    styles_of,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval

# What stands in the table: a column of the runs, and what people call it.
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
    table = _table(results, conditions)
    return Section(
        name="cost",
        title="What they cost",
        table=table,
        figure=_figure(results, conditions),
        sentences=_sentences(results, table),
        note=(
            "Medians over seeds. Operations: floating-point operations of a forward pass. "
            f"Latency: one {TASKS[results.task].objective.answer}, "
            "batch of one. Peak memory: the largest that the "
            "process had, what Python and its libraries take included. Times are as measured "
            "while the study ran."
        ),
    )


def _costs(results: Results) -> dict[str, str]:
    return COSTS | {"latency_ms": f"latency, ms/{TASKS[results.task].objective.unit}"}


def _table(results: Results, conditions: list[Condition]) -> pd.DataFrame:
    costs = {column: name for column, name in _costs(results).items() if column in results.runs}
    return pd.DataFrame(
        [
            {"arm": condition.name}
            | {name: condition.median(column) for column, name in costs.items()}
            | {f"{results.measure.words}, mean": condition.mean(results.metric)}
            for condition in conditions
        ]
    ).dropna(axis="columns", how="all")


def _sentences(results: Results, table: pd.DataFrame) -> list[str]:
    """Each arm's speed as a multiple of the first one's."""
    sentences = []
    first = table.iloc[0]
    for column, what in (
        ("tokens/s in training", "trains at {} tokens/s"),
        (
            _costs(results)["latency_ms"],
            f"needs {{}} ms to {TASKS[results.task].objective.to_answer}",
        ),
    ):
        if column not in table or np.isnan(first[column]):
            continue
        others = [
            f"{row['arm']} {number(_digits(row[column]))} ({row[column] / first[column]:.2f} "
            "times that)"
            for _, row in table.iloc[1:].iterrows()
            if not np.isnan(row[column])
        ]
        claim = f"{first['arm']} {what.format(number(_digits(first[column])))}"
        sentences.append(f"{claim}{'; ' if others else ''}{', '.join(others)}.")
    return sentences


def _digits(value: float) -> float:
    """To three digits: times are not known better."""
    return float(f"{value:.3g}")


def _figure(results: Results, conditions: list[Condition]) -> Figure | None:
    """Quality against what it took to train, and to generate, where the latter is known."""
    shown = [
        column
        for column in ("train_seconds", "latency_ms")
        if column in results.runs and all(len(condition.values(column)) for condition in conditions)
    ]
    if not shown:
        return None
    figure, each = panels(len(shown))
    own = styles_of(conditions)
    way = "lower" if results.measure.lower_is_better else "higher"
    for axes, column in zip(each, shown, strict=True):
        for condition in conditions:
            interval, style = mean_interval(condition.values(results.metric)), own[condition.name]
            cost = condition.median(column)
            if interval.known:
                axes.plot([cost, cost], [interval.low, interval.high], color=style.colour, lw=1.8)
            axes.plot(
                *(cost, interval.value, style.marker),
                color=style.colour,
                markersize=8.5,
                markeredgecolor=PAPER,
                markeredgewidth=0.6,
            )
        costs = [condition.median(column) for condition in conditions]
        axes.set_xlim(0, 1.12 * max(costs))
        plain_numbers(axes.xaxis)
        scale_values(axes.yaxis, results.measure)
        name_axes(
            axes, _costs(results)[column], f"{results.measure.words} on test ({way} is better)"
        )
    return finish(figure, f"{results.study.name} on {results.task}: quality and its cost", own)
