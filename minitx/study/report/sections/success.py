"""Show how many seeds learn recall, and how soon."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.formatting import count, listed, percent, whole_percent
from minitx.study.report.comparison import compared_successes, number_of_tests
from minitx.study.report.rules import may_claim
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    Style,
    draw_point,
    finish,
    name_axes,
    panels,
    percent_axis,
    styles,
    ticks_at_1_2_5,
)
from minitx.study.report.verdict import probability
from minitx.study.results.conditions import not_climbed
from minitx.study.results.learning import LEARNED, learning_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import fraction_interval
from minitx.study.statistics.multiple import LEVEL

# In the figure, whose rungs are 1 apart: the distance of arms, and the width of the seeds of one.
APART, WIDE = 0.14, 0.08


def section(results: Results) -> Section | None:
    seeds, table = learning_of(results)
    if seeds.empty:
        return None
    of_arms = [(str(arm), rows) for arm, rows in seeds.groupby("arm", sort=False)]
    compared = compared_successes(results)
    soon = [_soon(str(name), found) for name, found in seeds.groupby("rung", sort=False)]
    few = [_one_rung(table["rung"].iloc[0])] if len(soon) == 1 else []
    answers = [
        *soon,
        *few,
        *_differences(compared, may_claim(results)),
        *(_learners(results, arm, table[table["arm"] == arm]) for arm, _ in of_arms),
    ]
    failed = [_failed(arm, found) for arm, found in of_arms if not found["learned"].all()]
    return Section(
        name="success",
        title="How many seeds learn it, and how soon",
        finding=listed(
            f"{found['learned'].sum()} of {count(len(found), 'run')} of {arm}"
            for arm, found in of_arms
        ),
        table=table,
        figure=_figure(results, table, seeds),
        sentences=answers + failed,
        answers=len(answers),
        more={"comparisons": compared, "seeds": seeds},
        note=(
            "A seed has learned it at the first validation at which at least "
            f"{percent(LEARNED)} of its answers are right, in sequences with all pairs. Top: the "
            "fraction of seeds that have learned it, with its exact 95% interval (Clopper and "
            "Pearson 1934). Bottom: the training tokens that each seed saw until then; crosses: "
            "those that a seed saw without learning it. The chance level is the accuracy of "
            "guessing a value from the sequence: one divided by the number of pairs."
            + _tests(results, compared)
        ),
    )


def _tests(results: Results, compared: pd.DataFrame) -> str:
    if compared.empty:
        return ""
    return (
        " The first arm is compared with each other one at each point of the grid by Boschloo's "
        "exact test. p is corrected for "
        f"{count(number_of_tests(results), 'comparison')} in this report (Holm)."
    )


def _differences(compared: pd.DataFrame, claim: bool) -> list[str]:
    """Describe the comparisons of the first arm with each other one.

    `claim` is whether more may be said than what happened in these runs.
    """
    if not len(compared):
        return []
    return [
        _difference(str(second), found, claim)
        for second, found in compared.groupby("second", sort=False)
    ]


def _difference(second: str, compared: pd.DataFrame, claim: bool) -> str:
    first, shown = compared["first"].iloc[0], compared["corrected p"] <= LEVEL
    learns = "learns it more often" if claim else "learned it more often in these runs"
    parts = []
    for sign, more, less in ((1, first, second), (-1, second, first)):
        rows = compared[shown & (compared["more"] == sign)]
        if len(rows):
            with_p = [
                f"{row['rung']} (corrected p {probability(row['corrected p'])})"
                for row in rows.to_dict("records")
            ]
            parts.append(f"{more} {learns} than {less} with {listed(with_p)}")
    if not shown.all():
        where = listed(compared.loc[~shown, "rung"])
        parts.append(f"no difference is shown in how many seeds learn it with {where}")
    return f"{first} and {second}: {'; '.join(parts)}."


def _learners(results: Results, arm: str, rungs: pd.DataFrame) -> str:
    """Count the seeds that learned each rung, and name the rungs that the arm did not climb to."""
    parts = [
        f"{row['learned']} of {row['seeds']} with {row['rung']} (exact 95% interval of the "
        f"fraction {whole_percent(row['low'])} to {whole_percent(row['high'])})"
        for row in rungs.to_dict("records")
    ]
    learners = f"Seeds of {arm} that learn it: {'; '.join(parts)}."
    if not (higher := not_climbed(results, arm)):
        return learners
    return (
        f"{learners} {arm} was not trained with {higher}, because no more than half of its seeds "
        "had reached the goal before."
    )


def _soon(rung: str, seeds: pd.DataFrame) -> str:
    """Describe the steps until the seeds of each arm had learned a rung."""
    parts = []
    for arm, found in seeds.groupby("arm", sort=False):
        learned = found[found["learned"]]
        share = f"{len(learned)} of {count(len(found), 'seed')}"
        if learned.empty:
            parts.append(f"{arm} not within {found['steps'].max():,} ({share})")
            continue
        steps = learned["steps"]
        reach = f"{steps.min():,} to {steps.max():,}, " if len(learned) > 1 else ""
        parts.append(f"{arm} after {steps.median():,.0f} ({reach}{share})")
    return (
        f"Training steps until seeds learn it with {rung}, median (and range): {'; '.join(parts)}."
    )


def _one_rung(rung: str) -> str:
    return (
        f"Only one point of the grid was measured ({rung}), which does not show how many "
        "pairs a model remembers, or how far back."
    )


def _failed(arm: str, seeds: pd.DataFrame) -> str:
    """Describe the seeds that did not learn a rung."""
    parts = [
        f"with {name}, {count(len(found), 'seed')} in {found['steps'].max():,} steps (best "
        f"accuracy on val {percent(found['best accuracy on val'].min())} to "
        f"{percent(found['best accuracy on val'].max())}, chance level "
        f"{percent(found['chance level'].iloc[0])})"
        for name, found in seeds[~seeds["learned"]].groupby("rung", sort=False)
    ]
    return f"Seeds of {arm} that do not learn it: {'; '.join(parts)}."


def _figure(results: Results, table: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    figure, [left, right] = panels(2)
    arms, rungs = (list(dict.fromkeys(table[name])) for name in ("arm", "rung"))
    own = styles(arms)
    for number, arm in enumerate(arms):
        aside = APART * (number - (len(arms) - 1) / 2)
        for row in table[table["arm"] == arm].to_dict("records"):
            fraction = fraction_interval(row["learned"], row["seeds"])
            x = rungs.index(row["rung"]) + aside
            draw_point(left, own[arm], x, fraction.value, yerr=fraction)
        _draw_seeds(right, own[arm], seeds[seeds["arm"] == arm], rungs, aside)
    for axes in (left, right):
        axes.set_xlim(-0.5, len(rungs) - 0.5)
        axes.set_xticks(range(len(rungs)), [each.replace(", ", "\n") for each in rungs])
    left.set_ylim(-0.04, 1.04)
    percent_axis(left.yaxis)
    right.set_yscale("log")
    ticks_at_1_2_5(right.yaxis)
    name_axes(left, "", "seeds that learn it")
    name_axes(right, "", "training tokens until a seed learns it")
    return finish(figure, f"{results.title}: seeds that learn it", own)


def _draw_seeds(
    axes: Axes, style: Style, seeds: pd.DataFrame, rungs: list[str], aside: float
) -> None:
    """Draw a mark for each seed."""
    for learned, found in seeds.groupby("learned"):
        look: dict[str, Any] = (
            {"marker": style.marker, "fillstyle": "none"} if learned else {"marker": "x"}
        )
        places = np.array([rungs.index(each) for each in found["rung"]]) + aside
        places += WIDE * (found["seed"].rank(method="dense", pct=True).to_numpy() - 0.5)
        axes.plot(places, found["tokens"], color=style.colour, linestyle="", markersize=6, **look)
