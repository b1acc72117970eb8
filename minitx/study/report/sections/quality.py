"""Show the quality of each arm on test, and which of two arms is better."""

from math import inf, isnan

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED, PAPER, TEXT_SIZE, text_style
from minitx.drawing.formatting import count, settings
from minitx.study.report import verdict
from minitx.study.report.comparison import about, compare, pairs_of
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    Style,
    draw_point,
    finish,
    name_axes,
    name_rows,
    panels,
    scale_values,
    styles,
)
from minitx.study.report.verdict import Comparison, Verdict, places_by_verdict
from minitx.study.results.conditions import Condition, conditions_of, scored_conditions
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import LEAST_SEEDS, interval_words

ROW, LEAST = 0.34, 1.0  # inches: height of an arm in the figure, and of the smallest figure
MOST_SENTENCES = 12  # about single points of a grid; otherwise only the table has the comparisons


def section(results: Results) -> Section | None:
    every = conditions_of(results)
    points = list(dict.fromkeys(condition.point for condition in every))
    conditions = sorted(every, key=lambda condition: points.index(condition.point))
    known = scored_conditions(results)
    if not known:
        return None
    comparisons = compare(results, pairs_of(conditions))
    verdicts, details = _verdicts(results, comparisons)
    unfinished = [
        f"No run of {each.name} finished."
        for each in conditions
        if not len(each.values(results.metric))
    ]
    return Section(
        name="quality",
        title="How good they are",
        finding=_finding(results, known, comparisons),
        table=_table(results, conditions),
        figure=_figure(results, _ranked(results, conditions)),
        sentences=[*(verdicts or [_range(results, known)]), *details, *unfinished],
        answers=len(verdicts),
        more={"comparisons": verdict.table(comparisons)} if comparisons else {},
        note=(
            f"On test; {results.measure.direction} is better. The best mean is at the top. Rings: "
            "single seeds. Marker and bar: "
            f"their mean and its 95% interval ({interval_words(results.measure.bounds)}); there is "
            f"no bar for fewer than {LEAST_SEEDS} seeds." + about(results, comparisons)
        ),
    )


def _finding(results: Results, known: list[Condition], comparisons: list[Comparison]) -> str:
    """Return the claim about two arms, or say which of several has the best mean."""
    if results.axes or len(known) < 2:
        return ""
    if len(comparisons) == 1:
        return comparisons[0].sentence().partition(":")[0]
    return f"{_ranked(results, known)[0].name} has the {results.measure.best} mean"


def _ranked(results: Results, conditions: list[Condition]) -> list[Condition]:
    """Return the conditions of each point from the best mean to the worst, then those without."""
    sign = 1 if results.measure.lower_is_better else -1
    points = list(dict.fromkeys(condition.point for condition in conditions))

    def rank(condition: Condition) -> tuple[int, float]:
        mean = condition.mean(results.metric)
        return points.index(condition.point), inf if isnan(mean) else sign * mean

    return sorted(conditions, key=rank)


def _table(results: Results, conditions: list[Condition]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": condition.arm,
                **dict(zip(condition.axes, settings(condition.point), strict=True)),
                **condition.score(results).columns(f"{results.measure.words}, mean"),
                "seeds finished": len(condition.values(results.metric)),
                "seeds planned": len(condition.runs),
                "single seeds": "; ".join(
                    f"{value:.5g}" for value in condition.values(results.metric)
                ),
            }
            for condition in conditions
        ]
    )


def _verdicts(results: Results, comparisons: list[Comparison]) -> tuple[list[str], list[str]]:
    """Return a sentence for each pair of arms and, if there is a grid, for each of its points."""
    word = results.measure.direction
    if not results.axes:
        return [each.sentence() for each in comparisons], []
    by_arms: dict[tuple[str, str], list[Comparison]] = {}
    for each in comparisons:
        by_arms.setdefault((each.first.arm, each.second.arm), []).append(each)
    points = [
        f"With {each.first.place}: {each.sentence(*arms)}"
        for arms, found in by_arms.items()
        for each in found
    ]
    summaries = [
        f"{first} and {second}: "
        + places_by_verdict(
            found,
            {
                Verdict.BETTER: f"{first} is better with {{}}",
                Verdict.WORSE: f"{second} is better with {{}}",
                Verdict.AHEAD: f"{first} had the {word} mean in these runs with {{}}",
                Verdict.BEHIND: f"{second} had the {word} mean in these runs with {{}}",
                Verdict.NOT_SHOWN: "no difference is shown with {}",
                Verdict.NOT_COMPARED: "they cannot be compared with {}",
            },
        )
        + "."
        for (first, second), found in by_arms.items()
    ]
    return summaries, points if len(points) <= MOST_SENTENCES else []


def _range(results: Results, known: list[Condition]) -> str:
    """Format the lowest and the highest mean, if no two conditions can be compared."""
    ordered = sorted(known, key=lambda condition: condition.mean(results.metric))
    parts = [
        f"{results.measure.amount(condition.mean(results.metric))} ({condition.name}, "
        f"{count(len(condition.finished), 'seed')})"
        for condition in (ordered[0], ordered[-1])
    ]
    if len(ordered) == 1:
        return f"On test: {parts[0]}."
    return f"On test, the means range from {' to '.join(parts)}."


def _figure(results: Results, conditions: list[Condition]) -> Figure:
    figure, [axes] = panels(height=max(LEAST, ROW * len(conditions)))
    shown = {condition.arm for condition in conditions}
    own = styles(arm for arm in results.study.arms if arm in shown)  # as in the other figures
    for row, condition in enumerate(conditions):
        _draw_condition(axes, own[condition.arm], results, condition, row)
    name_rows(
        axes,
        [
            f"{condition.arm}, {condition.place}" if condition.axes else condition.arm
            for condition in conditions
        ],
    )
    scale_values(axes.xaxis, results.measure)
    name_axes(axes, results.measure.on_test, "")
    return finish(figure, f"{results.title}: {results.measure.words}")


def _draw_condition(
    axes: Axes, style: Style, results: Results, condition: Condition, row: int
) -> None:
    values = condition.values(results.metric)
    if not len(values):
        axes.text(
            *(0.02, row, "no run finished"),
            transform=axes.get_yaxis_transform(),
            size=TEXT_SIZE - 1,
            va="center",
            **text_style(MUTED),
        )
        return
    below = row + 0.32 if len(values) > 1 else row
    axes.plot(
        values,
        [below] * len(values),
        "o",
        markersize=4,
        clip_on=False,
        markerfacecolor=PAPER,
        markeredgecolor=style.colour,
        markeredgewidth=1.2,
    )
    interval = condition.score(results)
    draw_point(axes, style, interval.value, row, xerr=interval)
