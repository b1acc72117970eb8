"""How good each arm is on test, and which of two is better."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import INK, MUTED, PAPER, TEXT_SIZE, drawable, text_style
from minitx.study.formatting import amount, as_said, count
from minitx.study.report import comparison
from minitx.study.report.comparison import Comparison, Verdict, compare, pairs_of, resamples_of
from minitx.study.report.sections import Section
from minitx.study.report.style import finish, name_axes, panels, scale_values, styles
from minitx.study.results.conditions import Condition, conditions_of, places
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval

ROW, LEAST = 0.34, 1.0  # inches: of an arm in the figure, and of the figure
MOST_IN_WORDS = 12  # comparisons at the points of a grid; the others are in their table


def section(results: Results) -> Section | None:
    every = conditions_of(results)
    # What is compared stands together: all arms at one point of the grid.
    conditions = [
        condition
        for point in dict.fromkeys(c.point for c in every)
        for condition in every
        if condition.point == point
    ]
    if not any(len(condition.values(results.metric)) for condition in conditions):
        return None
    comparisons = compare(results, pairs_of(conditions))
    verdicts, details = _verdicts(results, comparisons)
    unfinished = [
        f"No run of {condition.name} finished."
        for condition in conditions
        if not len(condition.values(results.metric))
    ]
    direction = "lower" if results.measure.lower_is_better else "higher"
    return Section(
        name="quality",
        title="How good they are",
        table=_table(results, conditions),
        figure=_figure(results, conditions),
        sentences=[*(verdicts or [_span(results, conditions)]), *details, *unfinished],
        answers=len(verdicts),
        more={"comparisons": comparison.table(comparisons)} if comparisons else {},
        note=(
            f"On test, {direction} is better. Rings: single seeds. Dot and line: their mean with "
            "its 95% interval (Student's t); no line where there is one seed."
            + _on_comparisons(results, comparisons)
        ),
    )


def _table(results: Results, conditions: list[Condition]) -> pd.DataFrame:
    rows = []
    for condition in conditions:
        values = condition.values(results.metric)
        interval = mean_interval(values)
        rows.append(
            {"arm": condition.arm}
            | dict(zip(condition.axes, as_said(condition.point), strict=True))
            | {
                f"{results.measure.words}, mean": interval.value,
                "low": interval.low,
                "high": interval.high,
                "seeds finished": len(values),
                "seeds planned": len(condition.runs),
                "single seeds": "; ".join(f"{value:.5g}" for value in values),
            }
        )
    return pd.DataFrame(rows)


def _verdicts(results: Results, comparisons: list[Comparison]) -> tuple[list[str], list[str]]:
    """A sentence for each pair; of a grid first where which is better, and then each point's."""
    if not results.axes:
        return [each.sentence() for each in comparisons], []
    along: dict[tuple[str, str], list[Comparison]] = {}
    for each in comparisons:
        along.setdefault((each.first.arm, each.second.arm), []).append(each)
    points = [
        f"With {each.first.place}: {each.sentence(*pair)}"
        for pair, found in along.items()
        for each in found
    ]
    summaries = [_summary(pair, found) for pair, found in along.items()]
    return summaries, points if len(points) <= MOST_IN_WORDS else []


def _summary(pair: tuple[str, str], along: list[Comparison]) -> str:
    """How two arms compare over all points of the grid."""
    found: dict[Verdict, list[Condition]] = {}
    for each in along:
        found.setdefault(each.verdict, []).append(each.first)
    words = {
        Verdict.BETTER: f"{pair[0]} is better with {{}}",
        Verdict.WORSE: f"{pair[1]} is better with {{}}",
        Verdict.NOT_SHOWN: "no difference is shown with {}",
        Verdict.ONE_SEED: "the runs differ, which is not shown for other seeds, with {}",
        Verdict.NOT_COMPARED: "they cannot be compared with {}",
    }
    parts = [form.format(places(found[kind])) for kind, form in words.items() if kind in found]
    return f"{pair[0]} and {pair[1]}: {'; '.join(parts)}."


def _span(results: Results, conditions: list[Condition]) -> str:
    """Where there is nothing to compare at one point: from which to which figure they reach."""
    known = [condition for condition in conditions if len(condition.values(results.metric))]
    ordered = sorted(known, key=lambda condition: condition.mean(results.metric))
    ends = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    parts = [
        f"{amount(results.measure, condition.mean(results.metric))} ({condition.name}, "
        f"{count(len(condition.finished), 'seed')})"
        for condition in ends
    ]
    return (
        f"On test the means reach from {' to '.join(parts)}."
        if len(parts) > 1
        else (f"On test: {parts[0]}.")
    )


def _on_comparisons(results: Results, comparisons: list[Comparison]) -> str:
    if not comparisons:
        return ""
    several = (
        f" The intervals are not widened for the number of comparisons ({len(comparisons)}), so "
        "that some may leave out zero by chance."
        if len(comparisons) > 1
        else ""
    )
    return (
        " One is called better only where two intervals of the difference leave out zero: of a "
        f"paired bootstrap over test items ({resamples_of(results.measure):,} resamples, seeds "
        f"pooled) and of Welch's t over seeds.{several}"
    )


def _figure(results: Results, conditions: list[Condition]) -> Figure:
    figure, [axes] = panels(width=5.6, height=max(LEAST, ROW * len(conditions)))
    own = styles(condition.arm for condition in conditions)
    for row, condition in enumerate(conditions):
        style, values = own[condition.arm], condition.values(results.metric)
        interval = mean_interval(values)
        if not len(values):
            axes.text(
                *(0.02, row, "no run finished"),
                transform=axes.get_yaxis_transform(),
                size=TEXT_SIZE - 1,
                va="center",
                **text_style(MUTED),
            )
            continue
        if interval.known:
            axes.plot(
                [interval.low, interval.high],
                [row, row],
                color=style.colour,
                linewidth=2.2,
                solid_capstyle="butt",
            )
        ring: dict[str, Any] = {
            "markerfacecolor": PAPER,
            "markeredgecolor": style.colour,
            "markeredgewidth": 1.2,
        }
        below = np.full(len(values), row + 0.32 if len(values) > 1 else row)
        axes.plot(values, below, "o", markersize=4, clip_on=False, **ring)
        axes.plot(
            *(interval.value, row, style.marker),
            color=style.colour,
            markersize=7.5,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )
    axes.set_ylim(len(conditions) - 0.4, -0.6)
    axes.set_yticks(
        range(len(conditions)), [drawable(_label(condition)) for condition in conditions]
    )
    axes.tick_params(axis="y", length=0, labelsize=TEXT_SIZE, labelcolor=INK)
    axes.grid(False, axis="y")
    scale_values(axes.xaxis, results.measure)
    way = "lower" if results.measure.lower_is_better else "higher"
    name_axes(axes, f"{results.measure.words} on test ({way} is better)", "")
    return finish(figure, f"{results.study.name} on {results.task}: {results.measure.words}")


def _label(condition: Condition) -> str:
    return f"{condition.arm}, {condition.place}" if condition.axes else condition.arm
