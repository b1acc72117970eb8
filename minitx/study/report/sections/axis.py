"""How quality depends on what the grid varies: heads, pairs to recall, share of the data."""

from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from minitx.study.formatting import SHARE_OF_DATA, amount, are_numbers, axis_name, number
from minitx.study.report import comparison
from minitx.study.report.comparison import Comparison, Verdict, compare, resamples_of
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    scale_steps,
    scale_values,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of, lines_along, places
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval


def section(results: Results) -> Section | None:
    axis = numeric_axis(results)
    if axis is None:
        return None
    known = [
        condition for condition in conditions_of(results) if len(condition.values(results.metric))
    ]
    lines = {name: line for name, line in lines_along(axis, known).items() if len(line) > 1}
    if not lines:
        return None
    bests = {name: _best(results, line) for name, line in lines.items()}
    others = {
        name: compare(
            results,
            [(condition, bests[name]) for condition in line if condition is not bests[name]],
        )
        for name, line in lines.items()
    }
    every = [each for line in others.values() for each in line]
    sentences = [_sentence(results, name, bests[name], others[name]) for name in lines]
    return Section(
        name="axis",
        title=f"How it depends on {axis_name(axis)}",
        table=_table(results, axis, lines),
        figure=_figure(results, axis, lines),
        sentences=sentences,
        answers=len(sentences),
        more={"comparisons": comparison.table(every)},
        note=(
            f"On test, by {axis_name(axis)}. Points: means over seeds; bands: 95% intervals (t). "
            "Each point is compared with the best of its line: a paired bootstrap over test "
            f"items ({resamples_of(results.measure):,} resamples) and Welch's t over seeds. The "
            f"intervals are not widened for the number of comparisons ({len(every)}), nor for "
            "that the best one was picked."
        ),
    )


def numeric_axis(results: Results) -> str | None:
    """The first key of the grid that has several values, all of them numbers."""
    for axis, values in results.study.grid.items():
        if len(values) > 1 and are_numbers(values):
            return str(axis)
    return None


def spell(axis: str, value: float) -> str:
    """A value as it stands below an axis: shares as percents."""
    return f"{100 * value:.3g}%" if axis == SHARE_OF_DATA else number(value)


def _table(results: Results, axis: str, lines: dict[str, list[Condition]]) -> pd.DataFrame:
    rows = []
    for name, line in lines.items():
        for condition in line:
            interval = mean_interval(condition.values(results.metric))
            rows.append(
                {
                    "arm": name,
                    axis_name(axis): condition.on(axis),
                    f"{results.measure.words}, mean": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "seeds finished": len(condition.finished),
                    "seeds planned": len(condition.runs),
                }
            )
    return pd.DataFrame(rows)


def _best(results: Results, line: list[Condition]) -> Condition:
    pick = min if results.measure.lower_is_better else max
    return pick(line, key=lambda condition: condition.mean(results.metric))


def _sentence(results: Results, name: str, best: Condition, others: list[Comparison]) -> str:
    """The best point, and how the others stand to it by the rule for "better"."""
    found: dict[Verdict, list[Condition]] = {}
    for each in others:
        found.setdefault(each.verdict, []).append(each.first)
    forms = {
        Verdict.WORSE: "worse with {}",
        Verdict.ONE_SEED: "worse in these runs, not shown for other seeds, with {}",
        Verdict.NOT_SHOWN: "no difference is shown with {}",
        Verdict.NOT_COMPARED: "not compared with {}",
    }
    parts = [form.format(places(found[kind])) for kind, form in forms.items() if kind in found]
    return (
        f"{name} has its best mean with {best.place}: "
        f"{amount(results.measure, best.mean(results.metric))}. Beside that: {'; '.join(parts)}."
    )


def _figure(results: Results, axis: str, lines: dict[str, list[Condition]]) -> Figure:
    figure, [axes] = panels(width=5.6)
    own = styles(lines)
    for name, line in lines.items():
        style = own[name]
        along = [condition.on(axis) for condition in line]
        intervals = [mean_interval(condition.values(results.metric)) for condition in line]
        for condition, place in zip(line, along, strict=True):
            values = condition.values(results.metric)
            axes.plot([place] * len(values), values, ".", color=style.colour, markersize=3.5)
        draw_line(axes, style, along, intervals)
    tried = [condition.on(axis) for line in lines.values() for condition in line]
    scale_steps(axes.xaxis, tried, partial(spell, axis))
    scale_values(axes.yaxis, results.measure)
    way = "lower" if results.measure.lower_is_better else "higher"
    name_axes(axes, axis_name(axis), f"{results.measure.words} on test ({way} is better)")
    what = f"{results.measure.words} by {axis_name(axis)}"
    return finish(figure, f"{results.study.name} on {results.task}: {what}", own)
