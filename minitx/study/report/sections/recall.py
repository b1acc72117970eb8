"""Associative recall: how many pairs an arm holds, how far back, along what the grid varies."""

from collections.abc import Iterator
from functools import partial
from math import nan
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from minitx.drawing.figures import MUTED
from minitx.study.formatting import are_numbers, at, axis_name, count, listed, number
from minitx.study.report.sections import Section
from minitx.study.report.sections.axis import spell
from minitx.study.report.style import (
    PANEL_WIDTH,
    Style,
    draw_figures,
    draw_line,
    finish,
    name_axes,
    panels,
    scale_steps,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of, lines_along, places
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import Interval, mean_interval, share_interval

LEVELS = (0.99, 0.9)  # of accuracy, below which an arm is said to fall
STRETCHES = 8  # of distances


def section(results: Results) -> Section | None:
    axis = next((name for name, values in results.study.grid.items() if are_numbers(values)), None)
    if axis is None:
        return None
    asked = {condition.name: _answers(results, condition) for condition in conditions_of(results)}
    conditions = [condition for condition in conditions_of(results) if len(asked[condition.name])]
    if not conditions:
        return None
    answers = {condition.name: _with_all_pairs(asked[condition.name]) for condition in conditions}
    lines = lines_along(axis, conditions)
    apart = _most_apart(axis, conditions, answers)
    table = pd.concat(
        [
            _by_distance(axis, name, condition, answers[condition.name])
            for name, condition in _each(lines)
        ]
    )
    accuracies = {condition.name: _over_seeds(answers[condition.name]) for condition in conditions}
    return Section(
        name="recall",
        title="How many pairs they remember, and how far back",
        table=table.reset_index(drop=True),
        figure=_figure(results, axis, lines, table, answers, asked, apart),
        sentences=[
            *(_limits(name, line, accuracies) for name, line in lines.items()),
            *(_learners(name, line, answers) for name, line in lines.items()),
            *(_beside_guessing(name, line, answers) for name, line in lines.items()),
            *(_by_number(condition, asked[condition.name]) for _, condition in _each(lines)),
            *(_ends(axis, name, condition, table) for name, condition in _each(lines)),
        ],
        answers=3 * len(lines),
        more={
            f"by {axis_name(axis)}": _along(axis, lines, accuracies),
            "by pairs": _by_pairs(axis, lines, asked),
        },
        note=(
            f"Left: accuracy on the queries of test by {axis_name(axis)}; rings: single seeds; "
            "lines: their means. Middle: the same models on test sequences with "
            "fewer pairs and with all. Right: by how far back the key stood, in "
            f"tokens; both {at(axis, apart)}, where the arms lie farthest apart; bands on the "
            "right: Wilson's 95% intervals over the queries of all seeds, as if these were "
            "independent of each other. Dotted: what a model has that does not look at the keys "
            "and names any value of the sequence, one in as many as there are pairs."
        ),
    )


def _each(lines: dict[str, list[Condition]]) -> Iterator[tuple[str, Condition]]:
    """All conditions, each with the name of its line."""
    return ((name, condition) for name, line in lines.items() for condition in line)


def _answers(results: Results, condition: Condition) -> pd.DataFrame:
    """All queries of all seeds of a condition: `key`, `pairs`, `distance` in tokens, `right`."""
    found = [
        results.details[key]["recall"].assign(key=key)
        for key in condition.finished["key"]
        if "pairs" in results.details.get(key, {}).get("recall", ())  # not of an earlier version
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _with_all_pairs(asked: pd.DataFrame) -> pd.DataFrame:
    """The queries of the sequences with most pairs: the test split, of which all else speaks."""
    return asked[asked["pairs"] == asked["pairs"].max()]


def _over_seeds(answers: pd.DataFrame) -> Interval:
    return mean_interval(answers.groupby("key")["right"].mean().to_numpy(float))


def _most_apart(axis: str, conditions: list[Condition], answers: dict[str, pd.DataFrame]) -> float:
    """Where on the axis two arms differ most; of several places the last."""
    ends: dict[float, list[float]] = {}
    for condition in conditions:
        ends.setdefault(condition.on(axis), []).append(answers[condition.name]["right"].mean())
    return max(ends, key=lambda place: (max(ends[place]) - min(ends[place]), place))


def _by_distance(axis: str, name: str, condition: Condition, answers: pd.DataFrame) -> pd.DataFrame:
    """A row for each stretch of distances, all with about as many queries."""
    rows = []
    stretches = pd.qcut(answers["distance"], STRETCHES, duplicates="drop")
    for _, queries in answers.groupby(stretches, observed=True):
        share = share_interval(int(queries["right"].sum()), len(queries))
        rows.append(
            {
                "arm": name,
                axis_name(axis): condition.on(axis),
                "distance from": queries["distance"].min(),
                "to": queries["distance"].max(),
                "mean distance": queries["distance"].mean(),
                "accuracy": share.value,
                "low": share.low,
                "high": share.high,
                "queries": len(queries),
            }
        )
    return pd.DataFrame(rows)


def _along(
    axis: str, lines: dict[str, list[Condition]], accuracies: dict[str, Interval]
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"arm": name, axis_name(axis): condition.on(axis)}
            | _mean(accuracies[condition.name], condition)
            for name, condition in _each(lines)
        ]
    )


def _by_pairs(
    axis: str, lines: dict[str, list[Condition]], asked: dict[str, pd.DataFrame]
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"arm": name, axis_name(axis): condition.on(axis), "pairs in a sequence": pairs}
            | _mean(_over_seeds(answers), condition)
            | {"naming any value": _guessing(answers)}
            for name, condition in _each(lines)
            for pairs, answers in asked[condition.name].groupby("pairs")
        ]
    )


def _mean(accuracy: Interval, condition: Condition) -> dict[str, float]:
    """An accuracy over seeds as the last columns of a row."""
    return {
        "accuracy, mean": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "seeds": len(condition.finished),
    }


def _limits(name: str, line: list[Condition], accuracies: dict[str, Interval]) -> str:
    """Where on the axis an arm falls below each of the levels for the first time."""
    fallen: dict[int, list[float]] = {}
    for level in LEVELS:
        below = [
            place
            for place, condition in enumerate(line)
            if accuracies[condition.name].value < level
        ]
        fallen.setdefault(below[0] if below else len(line), []).append(level)
    parts = []
    for place, levels in fallen.items():
        spelt = listed([number(level) for level in levels])
        if place == len(line):
            parts.append(f"does not fall below {number(max(levels))} with up to {line[-1].place}")
        else:
            accuracy = accuracies[line[place].name].value
            still = f" and not yet with {line[place - 1].place}" if place else ""
            parts.append(f"is below {spelt} with {line[place].place} ({accuracy:.3f}){still}")
    seeds = count(max(len(condition.finished) for condition in line), "seed")
    return f"The accuracy of {name} (means over {seeds}) {'; '.join(parts)}."


def _learners(name: str, line: list[Condition], answers: dict[str, pd.DataFrame]) -> str:
    """How many seeds learned it: recall comes at a stroke or not at all, so means say little."""
    parts = []
    for condition in line:
        accuracies = answers[condition.name].groupby("key")["right"].mean()
        learned = int((accuracies >= min(LEVELS)).sum())
        parts.append(
            f"{learned} of {count(len(accuracies), 'seed')} with {condition.place} "
            f"({listed([number(round(value, 3)) for value in sorted(accuracies, reverse=True)])})"
        )
    return f"Of {name} an accuracy of {number(min(LEVELS))} is reached by {'; '.join(parts)}."


def _beside_guessing(name: str, line: list[Condition], answers: dict[str, pd.DataFrame]) -> str:
    """Where an arm is above what it would have without a look at the keys.

    It is where the whole interval over seeds is, or with one seed that over its answers.
    """
    above: list[Condition] = []
    others: list[Condition] = []
    for condition in line:
        accuracy = _over_seeds(answers[condition.name])
        if not accuracy.known:
            right = answers[condition.name]["right"]
            accuracy = share_interval(int(right.sum()), len(right))
        (above if accuracy.low > _guessing(answers[condition.name]) else others).append(condition)
    guesses = dict.fromkeys(f"{_guessing(answers[condition.name]):.3f}" for condition in line)
    parts = [
        f"{name} is {how} above that with {places(conditions)}"
        for how, conditions in (("shown to be", above), ("not shown to be", others))
        if conditions
    ]
    return (
        f"Naming any value of the sequence, without a look at the keys, gives an accuracy of "
        f"{listed(list(guesses))}: {'; '.join(parts)}."
    )


def _guessing(answers: pd.DataFrame) -> float:
    """The accuracy of naming any of the sequence's values."""
    return float(1 / answers["pairs"].max())


def _by_number(condition: Condition, asked: pd.DataFrame) -> str:
    """Accuracy with fewer pairs and with all."""
    parts = [
        f"{_over_seeds(answers).value:.3f} with {count(int(pairs), 'pair')} (any value: "
        f"{_guessing(answers):.3f})"
        for pairs, answers in asked.groupby("pairs")
    ]
    return f"{condition.name}, by the number of pairs in a sequence: accuracy {listed(parts)}."


def _ends(axis: str, name: str, condition: Condition, table: pd.DataFrame) -> str:
    """Accuracy at the nearest and at the farthest distances."""
    rows = table[(table["arm"] == name) & (table[axis_name(axis)] == condition.on(axis))]
    parts = [
        f"{row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f}) at "
        f"{row['distance from']} to {row['to']} tokens"
        for _, row in rows.iloc[[0, -1]].iterrows()
    ]
    return f"{condition.name}, by distance: accuracy {' and '.join(dict.fromkeys(parts))}."


def _figure(
    results: Results,
    axis: str,
    lines: dict[str, list[Condition]],
    table: pd.DataFrame,
    answers: dict[str, pd.DataFrame],
    asked: dict[str, pd.DataFrame],
    apart: float,
) -> Figure:
    figure, [left, middle, right] = panels(3, width=2 * PANEL_WIDTH / 3)
    own = styles(lines)
    shown = table[table[axis_name(axis)] == apart]
    for name, line in lines.items():
        _draw_seeds(
            left, own[name], {condition.on(axis): answers[condition.name] for condition in line}
        )
        for condition in (condition for condition in line if condition.on(axis) == apart):
            _draw_seeds(middle, own[name], dict(iter(asked[condition.name].groupby("pairs"))))
        rows = shown[shown["arm"] == name]
        values = list(map(Interval, rows["accuracy"], rows["low"], rows["high"]))
        draw_line(right, own[name], rows["mean distance"].tolist(), values)
    tried = [condition.on(axis) for line in lines.values() for condition in line]
    scale_steps(left.xaxis, tried, partial(spell, axis))
    numbers = sorted({number for each in asked.values() if len(each) for number in each["pairs"]})
    scale_steps(middle.xaxis, numbers, partial(spell, "task.pairs"))
    guesses: dict[str, Any] = {"color": MUTED, "linestyle": ":", "linewidth": 1.4, "zorder": 1}
    middle.plot(numbers, [1 / pairs for pairs in numbers], **guesses)
    for line in lines.values():
        alone = [(condition.on(axis), _guessing(answers[condition.name])) for condition in line]
        left.plot(*zip(*alone, strict=True), **guesses)
        right.axhline(dict(alone).get(apart, nan), **guesses)
    for axes in (left, middle, right):
        axes.set_ylim(-0.02, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    name_axes(left, axis_name(axis), "accuracy on test")
    name_axes(middle, "pairs in a sequence", f"accuracy on test, {at(axis, apart)}")
    name_axes(right, "distance, tokens", f"accuracy on test, {at(axis, apart)}")
    return finish(figure, f"{results.study.name} on {results.task}: recall", own)


def _draw_seeds(axes: Axes, style: Style, queries: dict[float, pd.DataFrame]) -> None:
    """Accuracy at each place: a line through the means over seeds, a ring for every seed.

    No bands: seeds learn it or do not, and an interval of means (t) would reach beyond all of them.
    """
    means = [_over_seeds(answers).value for answers in queries.values()]
    draw_figures(axes, style, list(queries), means)
    for place, answers in queries.items():
        seeds = answers.groupby("key")["right"].mean()
        where = [place] * len(seeds)
        axes.plot(where, seeds, "o", color=style.colour, fillstyle="none", markersize=5)
