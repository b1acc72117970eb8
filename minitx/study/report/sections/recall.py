"""Show associative recall: how many pairs an arm remembers, and over which distance."""

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import count, listed, number
from minitx.metrics.bootstrap import Interval
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    PANEL_WIDTH,
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
from minitx.study.results.conditions import (
    Condition,
    Lines,
    conditions_of,
    lines_along,
    places,
)
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import fraction_interval, mean_interval

LEVELS = (0.99, 0.9)  # accuracies; the report gives the point at which an arm falls below each
BINS = 8  # of distances

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
    rows = [
        {"arm": name, axis_name(axis): condition.on(axis), **row}
        for name, condition in each
        for row in _by_distance(answers[condition.name])
    ]
    table = pd.DataFrame(rows)
    return Section(
        name="recall",
        title="How many pairs they remember, and how far back",
        table=table,
        figure=_figure(results, axis, lines, table, asked, widest),
        sentences=[
            *(_limits(name, line, answers) for name, line in lines.items()),
            *(_learners(name, line, answers) for name, line in lines.items()),
            *(_against_chance(name, line, answers) for name, line in lines.items()),
            *(_by_number(condition, asked[condition.name]) for _, condition in each),
            *(_ends(condition, answers) for _, condition in each),
        ],
        answers=3 * len(lines),
        more={
            f"by {axis_name(axis)}": pd.DataFrame(
                {"arm": name, axis_name(axis): condition.on(axis)}
                | _accuracy_columns(answers[condition.name], condition)
                for name, condition in each
            ),
            "by pairs": pd.DataFrame(
                {"arm": name, axis_name(axis): condition.on(axis), "pairs in a sequence": pairs}
                | _accuracy_columns(found, condition)
                | {"chance level": _chance(found)}
                for name, condition in each
                for pairs, found in asked[condition.name].groupby("pairs")
            ),
        },
        note=(
            f"Left: accuracy on the queries of test by {axis_name(axis)}; rings: single seeds; "
            "lines: their means. Middle: the same models on test sequences with all pairs and with "
            "fewer. Right: by the distance to the key in tokens. Middle and right: "
            f"{at(axis, widest)}, where the arms differ most. Bands on the right: Wilson's 95% "
            "intervals over the queries of all seeds, assuming that these are independent. Dotted: "
            "the chance level, which a model reaches by guessing a value from the sequence without "
            "using the keys: one divided by the number of pairs."
        ),
    )


def _asked(results: Results, condition: Condition) -> pd.DataFrame:
    tables = condition.details(results, "recall")
    found = [table for table in tables if "pairs" in table]  # an earlier version had none
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _by_seed(answers: pd.DataFrame) -> pd.Series:
    return answers.groupby("key")["right"].mean()


def _accuracy(answers: pd.DataFrame) -> Interval:
    """Return the mean accuracy over seeds."""
    return mean_interval(_by_seed(answers).to_numpy(float))


def _over_queries(answers: pd.DataFrame) -> Interval:
    """Return the accuracy over the queries of all seeds."""
    return fraction_interval(int(answers["right"].sum()), len(answers))


def _accuracy_columns(answers: pd.DataFrame, condition: Condition) -> dict[str, float]:
    return _accuracy(answers).columns("accuracy, mean") | {"seeds": len(condition.finished)}


def _chance(answers: pd.DataFrame) -> float:
    """Return the accuracy of guessing one of the sequence's values."""
    return float(1 / answers["pairs"].max())


def _widest(axis: str, conditions: list[Condition], answers: Answers) -> float:
    """Return the point on the axis at which the arms differ most; of several, the last."""
    means: dict[float, list[float]] = {}
    for condition in conditions:
        means.setdefault(condition.on(axis), []).append(answers[condition.name]["right"].mean())
    return max(means, key=lambda place: (max(means[place]) - min(means[place]), place))


def _by_distance(answers: pd.DataFrame) -> list[dict[str, float]]:
    """Return a row for each bin of distances; bins have about equally many queries."""
    bins = pd.qcut(answers["distance"], BINS, duplicates="drop")
    return [
        {
            "distance from": queries["distance"].min(),
            "to": queries["distance"].max(),
            "mean distance": queries["distance"].mean(),
            **_over_queries(queries).columns("accuracy"),
            "queries": len(queries),
        }
        for _, queries in answers.groupby(bins, observed=True)
    ]


def _limits(name: str, line: list[Condition], answers: Answers) -> str:
    """Describe the points at which an arm falls below each of the levels for the first time."""
    means = [_accuracy(answers[condition.name]).value for condition in line]
    fallen: dict[int, list[float]] = {}
    for level in LEVELS:
        first = next((place for place, mean in enumerate(means) if mean < level), len(line))
        fallen.setdefault(first, []).append(level)
    parts = []
    for place, levels in fallen.items():
        if place == len(line):
            parts.append(f"stays at or above {number(max(levels))} up to {line[-1].place}")
        else:
            still = f" but not yet with {line[place - 1].place}" if place else ""
            below = listed(map(number, levels))
            parts.append(f"is below {below} with {line[place].place} ({means[place]:.3f}){still}")
    seeds = count(max(len(condition.finished) for condition in line), "seed")
    return f"The accuracy of {name} (means over {seeds}) {'; '.join(parts)}."


def _learners(name: str, line: list[Condition], answers: Answers) -> str:
    """Count the seeds that learned it: recall is learned suddenly or not at all."""
    parts = []
    for condition in line:
        accuracies = sorted(_by_seed(answers[condition.name]), reverse=True)
        learned = sum(accuracy >= min(LEVELS) for accuracy in accuracies)
        parts.append(
            f"{learned} of {len(accuracies)} with {condition.place} "
            f"({listed(number(round(value, 3)) for value in accuracies)})"
        )
    return f"Seeds of {name} that reach an accuracy of {number(min(LEVELS))}: {'; '.join(parts)}."


def _against_chance(name: str, line: list[Condition], answers: Answers) -> str:
    """Describe the points at which an arm is above the chance level.

    The interval over seeds has to be above it; with one seed, the interval over queries.
    """
    above: list[Condition] = []
    others: list[Condition] = []
    for condition in line:
        found = answers[condition.name]
        accuracy = _accuracy(found)
        accuracy = accuracy if accuracy.known else _over_queries(found)
        (above if accuracy.low > _chance(found) else others).append(condition)
    levels = dict.fromkeys(f"{_chance(answers[condition.name]):.3f}" for condition in line)
    guessing = f"guessing a value from the sequence (accuracy {listed(levels)})"
    if not above:
        return f"{name} is not shown to be better than {guessing} with {places(others)}."
    rest = f"; this is not shown with {places(others)}" if others else ""
    return f"{name} is better than {guessing} with {places(above)}{rest}."


def _by_number(condition: Condition, asked: pd.DataFrame) -> str:
    """Compare the accuracy with fewer pairs and with all."""
    parts = [
        f"{_accuracy(found).value:.3f} with {count(int(pairs), 'pair')} (chance level "
        f"{_chance(found):.3f})"
        for pairs, found in asked.groupby("pairs")
    ]
    return f"{condition.name}, by the number of pairs in a sequence: accuracy {listed(parts)}."


def _ends(condition: Condition, answers: Answers) -> str:
    """Compare the accuracy at the shortest and at the longest distances."""
    rows = _by_distance(answers[condition.name])
    parts = [
        f"{row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f}) at "
        f"{row['distance from']} to {row['to']} tokens"
        for row in (rows[0], rows[-1])
    ]
    return f"{condition.name}, by distance: accuracy {' and '.join(dict.fromkeys(parts))}."


def _figure(
    results: Results, axis: str, lines: Lines, table: pd.DataFrame, asked: Asked, widest: float
) -> Figure:
    figure, [left, middle, right] = panels(3, width=2 * PANEL_WIDTH / 3)
    own = styles(lines)
    chance: dict[str, Any] = {"color": MUTED, "linestyle": ":", "linewidth": 1.4, "zorder": 1}
    for name, line in lines.items():
        tests = {}
        for condition in line:
            by_pairs = dict(iter(asked[condition.name].groupby("pairs")))
            tests[condition.on(axis)] = by_pairs[max(by_pairs)]
            if condition.on(axis) == widest:
                _draw_seeds(middle, own[name], by_pairs)
                right.axhline(_chance(asked[condition.name]), **chance)
        _draw_seeds(left, own[name], tests)
        left.plot(list(tests), list(map(_chance, tests.values())), **chance)
        rows = table[(table[axis_name(axis)] == widest) & (table["arm"] == name)]
        values = map(Interval, rows["accuracy"], rows["low"], rows["high"])
        draw_line(right, own[name], rows["mean distance"], values)
    places_tried = [condition.on(axis) for line in lines.values() for condition in line]
    scale_steps(left.xaxis, places_tried, partial(spell, axis))
    numbers = sorted({pairs for each in asked.values() if len(each) for pairs in each["pairs"]})
    scale_steps(middle.xaxis, numbers)
    middle.plot(numbers, [1 / pairs for pairs in numbers], **chance)
    for axes in (left, middle, right):
        axes.set_ylim(-0.02, 1.04)
        percent_axis(axes.yaxis)
    name_axes(left, axis_name(axis), "accuracy on test")
    name_axes(middle, "pairs in a sequence", f"accuracy on test, {at(axis, widest)}")
    name_axes(right, "distance, tokens", f"accuracy on test, {at(axis, widest)}")
    return finish(figure, f"{results.title}: recall", own)


def _draw_seeds(axes: Axes, style: Style, queries: dict[float, pd.DataFrame]) -> None:
    """Draw the accuracy at each place: a line through the means over seeds, a ring for each seed.

    There are no bands. Seeds learn it or do not, and a t interval would exceed all of them.
    """
    draw_line(axes, style, queries, [_accuracy(answers).value for answers in queries.values()])
    for place, answers in queries.items():
        seeds = _by_seed(answers)
        ring: dict[str, Any] = {"color": style.colour, "fillstyle": "none", "markersize": 5}
        axes.plot([place] * len(seeds), seeds, "o", **ring)
