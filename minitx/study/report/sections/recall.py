"""Show associative recall: how many pairs the seeds of an arm remember, and over which distance.

A seed learns recall or does not, so a mean over seeds describes none of them. Medians and ranges
over seeds are shown instead, and in figures each seed.
"""

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import count, listed, percent
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    Style,
    draw_line,
    finish,
    name_axes,
    panels,
    percent_axis,
    scale_steps,
    styles,
)
from minitx.study.results.axes import at, axis_name, numeric_axis, spell
from minitx.study.results.conditions import Condition, Lines, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import fraction_interval

BINS = 8  # of distances
SPREAD = "median accuracy (and range over seeds)"

# All queries of all seeds, by the name of a condition: `key` of the run, `pairs` in the sequence,
# `distance` in tokens, `right`. `Answers` has only the longest sequences, which are the test split.
Asked = dict[str, pd.DataFrame]
Answers = dict[str, pd.DataFrame]


def section(results: Results) -> Section | None:
    axis = numeric_axis(results, least=1)
    if axis is None:
        return None
    asked = {condition.name: _asked(results, condition) for condition in conditions_of(results)}
    conditions = [condition for condition in conditions_of(results) if len(asked[condition.name])]
    if not conditions:
        return None
    answers = {
        condition.name: (each := asked[condition.name])[each["pairs"] == each["pairs"].max()]
        for condition in conditions
    }
    lines = lines_along(axis, conditions)
    each = [(name, condition) for name, line in lines.items() for condition in line]
    widest = _widest(axis, conditions, answers)
    numbers = sorted({int(n) for found in asked.values() if len(found) for n in found["pairs"]})
    fewer = len(numbers) > 1  # test also has sequences with fewer pairs
    table = pd.DataFrame(
        {"arm": name, axis_name(axis): condition.on(axis), **row}
        for name, condition in each
        for row in _by_distance(answers[condition.name])
    )
    return Section(
        name="recall",
        title="How many pairs they remember, and how far back",
        finding=_finding(axis, widest, lines, answers),
        table=table,
        figure=_figure(results, axis, lines, table, asked, answers, widest, numbers),
        sentences=[
            *(_accuracies(name, line, answers) for name, line in lines.items()),
            *(_against_chance(name, line, answers) for name, line in lines.items()),
            *(_by_number(condition, asked[condition.name]) for _, condition in each if fewer),
            *(_ends(condition, answers) for _, condition in each),
        ],
        more=_tables(axis, each, asked if fewer else {}, answers),
        note=_note(axis, widest, _several(axis, conditions), fewer),
    )


def _tables(
    axis: str, each: list[tuple[str, Condition]], asked: Asked, answers: Answers
) -> dict[str, pd.DataFrame]:
    """Return the accuracies along the axis and, for what is in `asked`, by the number of pairs."""

    def row(name: str, condition: Condition, found: pd.DataFrame, **more: int) -> dict[str, Any]:
        place = {"arm": name, axis_name(axis): condition.on(axis)} | more
        return place | _over_seeds(found) | {"chance level": _chance(found)}

    along = pd.DataFrame(row(name, point, answers[point.name]) for name, point in each)
    by_pairs = pd.DataFrame(
        row(name, point, found, **{"pairs in a sequence": pairs})
        for name, point in each
        if point.name in asked
        for pairs, found in asked[point.name].groupby("pairs")
    )
    return {f"by {axis_name(axis)}": along} | ({"by pairs": by_pairs} if len(by_pairs) else {})


def _note(axis: str, widest: float, several: bool, fewer: bool) -> str:
    """Explain the figure, which has a panel in the middle if test also has fewer pairs."""
    middle = "Middle: the same models on test sequences with all pairs and with fewer. "
    lower = "Middle and bottom" if fewer else "Bottom"
    why = ", where the medians of the arms differ most"
    where = f"{lower}: {at(axis, widest)}{why if several else ''}. " if fewer or several else ""
    return (
        f"Top: accuracy on the queries of test by {axis_name(axis)}; rings: single seeds; lines: "
        f"their medians. {middle if fewer else ''}Bottom: by the distance to the key in tokens; "
        f"thin lines: single seeds. {where}Dotted: the chance level, "
        "which a model reaches by guessing a value from the sequence without using the keys: one "
        "divided by the number of pairs."
    )


def _several(axis: str, conditions: list[Condition]) -> bool:
    """Return whether the conditions have more than one point on the axis."""
    return len({condition.on(axis) for condition in conditions}) > 1


def _asked(results: Results, condition: Condition) -> pd.DataFrame:
    tables = condition.details(results, "recall")
    found = [table for table in tables if "pairs" in table]  # an earlier version had none
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _by_seed(answers: pd.DataFrame) -> pd.Series:
    """Return the accuracy of each seed."""
    return answers.groupby("key")["right"].mean()


def _over_seeds(answers: pd.DataFrame) -> dict[str, float]:
    """Return the median accuracy over seeds, and the lowest and the highest."""
    seeds = _by_seed(answers)
    return {
        "accuracy, median": seeds.median(),
        "lowest seed": seeds.min(),
        "highest seed": seeds.max(),
        "seeds": len(seeds),
    }


def _spelt(answers: pd.DataFrame) -> str:
    """Format the accuracy over seeds: "99.4% (50.1% to 99.6%)"."""
    seeds = _by_seed(answers)
    spread = f" ({percent(seeds.min())} to {percent(seeds.max())})" if len(seeds) > 1 else ""
    return percent(seeds.median()) + spread


def _chance(answers: pd.DataFrame) -> float:
    """Return the accuracy of guessing one of the sequence's values."""
    return float(1 / answers["pairs"].max())


def _widest(axis: str, conditions: list[Condition], answers: Answers) -> float:
    """Return the point on the axis at which the arms differ most; of several, the last."""
    medians: dict[float, list[float]] = {}
    for condition in conditions:
        median = _by_seed(answers[condition.name]).median()
        medians.setdefault(condition.on(axis), []).append(median)
    return max(medians, key=lambda place: (max(medians[place]) - min(medians[place]), place))


def _finding(axis: str, place: float, lines: Lines, answers: Answers) -> str:
    """Name the median accuracies at one point of the axis."""
    medians = [
        f"{percent(_by_seed(answers[condition.name]).median())} for {name}"
        for name, line in lines.items()
        for condition in line
        if condition.on(axis) == place
    ]
    return f"with {at(axis, place)}, median accuracies on test are {listed(medians)}"


def _by_distance(answers: pd.DataFrame) -> list[dict[str, float]]:
    """Return a row for each bin of distances; bins have about equally many queries."""
    return [
        {
            "distance from": queries["distance"].min(),
            "to": queries["distance"].max(),
            "mean distance": queries["distance"].mean(),
            **_over_seeds(queries),
            "queries": len(queries),
        }
        for queries in _binned(answers)
    ]


def _binned(answers: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the queries in each bin of distances."""
    if answers["distance"].nunique() == 1:
        return [answers]
    bins = pd.qcut(answers["distance"], BINS, duplicates="drop")
    return [queries for _, queries in answers.groupby(bins, observed=True)]


def _accuracies(name: str, line: list[Condition], answers: Answers) -> str:
    """Describe the accuracy along a line."""
    parts = [
        f"{_spelt(answers[condition.name])} with {condition.place} (chance level "
        f"{percent(_chance(answers[condition.name]))})"
        for condition in line
    ]
    return f"Accuracy of {name} on test, median (and range) over seeds: {'; '.join(parts)}."


def _against_chance(name: str, line: list[Condition], answers: Answers) -> str:
    """Count the seeds that are above the chance level, by the interval over their queries."""
    parts = []
    for condition in line:
        found = answers[condition.name]
        seeds = [queries["right"] for _, queries in found.groupby("key")]
        above = [
            fraction_interval(int(right.sum()), len(right)).low > _chance(found) for right in seeds
        ]
        parts.append(f"{sum(above)} of {len(above)} with {condition.place}")
    return (
        f"Seeds of {name} that answer better than by guessing a value from the sequence (the 95% "
        "interval over their queries, taken as independent, is above the chance level): "
        f"{'; '.join(parts)}."
    )


def _by_number(condition: Condition, asked: pd.DataFrame) -> str:
    """Compare the accuracy with fewer pairs and with all."""
    parts = [
        f"{_spelt(found)} with {count(int(pairs), 'pair')} (chance level {percent(_chance(found))})"
        for pairs, found in asked.groupby("pairs")
    ]
    return f"{condition.name}, by the number of pairs in a sequence: {SPREAD} {listed(parts)}."


def _ends(condition: Condition, answers: Answers) -> str:
    """Compare the accuracy at the shortest and at the longest distances."""
    bins = _binned(answers[condition.name])
    parts = [
        f"{_spelt(queries)} at {queries['distance'].min()} to {queries['distance'].max()} tokens"
        for queries in (bins[0], bins[-1])
    ]
    return f"{condition.name}, by distance: {SPREAD} {' and '.join(dict.fromkeys(parts))}."


def _figure(
    results: Results,
    axis: str,
    lines: Lines,
    table: pd.DataFrame,
    asked: Asked,
    answers: Answers,
    widest: float,
    numbers: list[int],
) -> Figure:
    figure, each = panels(3 if len(numbers) > 1 else 2)
    left, *middles, right = each
    own = styles(lines)
    chance: dict[str, Any] = {"color": MUTED, "linestyle": ":", "linewidth": 1.4, "zorder": 1}
    for name, line in lines.items():
        for condition in line:
            if condition.on(axis) == widest:
                for middle in middles:
                    by_pairs = dict(iter(asked[condition.name].groupby("pairs")))
                    _draw_seeds(middle, own[name], by_pairs)
                _draw_distances(right, own[name], answers[condition.name])
                right.axhline(_chance(answers[condition.name]), **chance)
        tests = {condition.on(axis): answers[condition.name] for condition in line}
        _draw_seeds(left, own[name], tests)
        left.plot(list(tests), list(map(_chance, tests.values())), **chance)
        rows = table[(table[axis_name(axis)] == widest) & (table["arm"] == name)]
        draw_line(right, own[name], rows["mean distance"], rows["accuracy, median"])
    places_tried = [condition.on(axis) for line in lines.values() for condition in line]
    scale_steps(left.xaxis, places_tried, partial(spell, axis))
    for middle in middles:
        scale_steps(middle.xaxis, numbers)
        middle.plot(numbers, [1 / pairs for pairs in numbers], **chance)
        name_axes(middle, "pairs in a sequence", f"accuracy on test, {at(axis, widest)}")
    for axes in each:
        axes.set_ylim(-0.02, 1.04)
        percent_axis(axes.yaxis)
    name_axes(left, axis_name(axis), "accuracy on test")
    name_axes(right, "distance, tokens", f"accuracy on test, {at(axis, widest)}")
    return finish(figure, f"{results.title}: recall", own)


def _draw_seeds(axes: Axes, style: Style, queries: dict[float, pd.DataFrame]) -> None:
    """Draw the accuracy at each place: a line through the medians, and a ring for each seed."""
    seeds = {place: _by_seed(answers) for place, answers in queries.items()}
    draw_line(axes, style, seeds, [accuracies.median() for accuracies in seeds.values()])
    for place, accuracies in seeds.items():
        ring: dict[str, Any] = {"color": style.colour, "fillstyle": "none", "markersize": 5}
        axes.plot([place] * len(accuracies), accuracies, "o", **ring)


def _draw_distances(axes: Axes, style: Style, answers: pd.DataFrame) -> None:
    """Draw a thin line for each seed."""
    for _, queries in answers.groupby("key"):
        bins = _binned(queries)
        places = [each["distance"].mean() for each in bins]
        axes.plot(
            places, [each["right"].mean() for each in bins], color=style.colour, linewidth=0.6
        )
