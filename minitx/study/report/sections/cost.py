"""Show the costs of each arm next to its quality: parameters, operations, time and memory."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from minitx.config.tasks import TASKS
from minitx.drawing.formatting import listed, three_digits
from minitx.study.report.ratios import EQUAL, is_equal, times
from minitx.study.report.rules.machine import is_shared
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
from minitx.study.statistics.ratios import ratio_interval

SPEED, BY_CPU, LATENCY = "tokens_per_second", "tokens_per_cpu_second", "latency_ms"

# Columns of the runs, and their names in the table.
COSTS = {
    "parameters": "parameters",
    "parameters_non_embedding": "without embeddings",
    "operations_per_token": "operations/token",
    "state_size": "numbers in the state",
    SPEED: "tokens/s in training",
    "train_seconds": "training seconds",
    "cpu_seconds": "CPU seconds of training",
    BY_CPU: "tokens/CPU second",
    "peak_memory_mb": "peak memory, MB",
}


def section(results: Results) -> Section | None:
    results = _by_cpu(results)
    conditions = [condition for condition in conditions_of(results) if len(condition.finished)]
    if not conditions:
        return None
    objective = TASKS[results.task].objective
    costs = COSTS | {LATENCY: f"latency, ms/{objective.unit}"}
    shared = is_shared(results)
    return Section(
        name="cost",
        title="What they cost",
        finding="" if shared else _finding(conditions),
        table=_table(results, conditions, costs),
        figure=_figure(results, conditions, costs, shared),
        sentences=_sentences(results, conditions, shared),
        note=(
            "Medians over seeds. Operations: floating-point operations of a forward pass. "
            f"Latency: one {objective.answer}, batch size 1. "
            "Peak memory: the most that the process used, including Python and its libraries. "
            "Times were measured while the study ran. CPU seconds: the time that the processor "
            "worked for a run. Ratios: of geometric means, with Welch's t interval on logarithms "
            "over seeds, if there are four or more. Costs within a factor of "
            f"{EQUAL:g}, and those whose interval of the ratio includes 1, count as equal."
        ),
    )


def _by_cpu(results: Results) -> Results:
    """Add the tokens that a run was trained on per second of CPU time, if that is known."""
    if not {"tokens_seen", "cpu_seconds"} <= set(results.runs):
        return results
    runs = results.runs
    return replace(results, runs=runs.assign(**{BY_CPU: runs["tokens_seen"] / runs["cpu_seconds"]}))


def _finding(conditions: list[Condition]) -> str:
    """Name the arms that trained fastest; those that count as equal share the place."""
    known = [each for each in conditions if len(each.values(SPEED))]
    if len(known) < max(2, len(conditions)):
        return ""
    best = max(known, key=lambda each: each.median(SPEED))
    names = [
        each.name
        for each in known
        if each is best or is_equal(ratio_interval(each.values(SPEED), best.values(SPEED)))
    ]
    if len(names) == len(known):
        return "no difference in speed is shown"
    return f"{listed(names)} trained fastest in these runs"


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


def _sentences(results: Results, conditions: list[Condition], shared: bool) -> list[str]:
    """Describe the speed of each condition and its ratio to that of the first one."""
    objective = TASKS[results.task].objective
    sentences = []
    if shared:
        sentences.append(
            "Other work shared the machine, so times and latencies are too long by unknown factors "
            "and are not compared."
        )
        compared = {BY_CPU: "was trained on {} tokens per second of CPU time in these runs"}
    else:
        compared = {
            SPEED: "trains at {} tokens/s",
            LATENCY: f"needs {{}} ms to {objective.to_answer}",
        }
    first, *others = conditions
    for column, what in compared.items():
        if not len(first.values(column)):
            continue
        claim = f"{first.name} {what.format(three_digits(first.median(column)))}"
        parts = [_compared(first, each, column) for each in others if len(each.values(column))]
        sentences.append("; ".join([claim, *parts]) + ".")
    return sentences


def _compared(first: Condition, other: Condition, column: str) -> str:
    """Return a cost and its ratio to the first arm's: "lstm 76,000, 2.09 times that"."""
    ratio = ratio_interval(other.values(column), first.values(column))
    words = "no difference is shown" if is_equal(ratio) else times(ratio, " times that")
    return f"{other.name} {three_digits(other.median(column))}, {words}"


def _figure(
    results: Results, conditions: list[Condition], costs: dict[str, str], shared: bool
) -> Figure | None:
    """Draw quality against the time of training and, if it is known, of generation."""
    shown = [
        column
        for column in (("cpu_seconds",) if shared else ("train_seconds", LATENCY))
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
