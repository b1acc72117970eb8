"""Show how many seeds learn recall, and how soon: a seed learns it suddenly or not at all."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.formatting import count, listed, percent, whole_percent
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
from minitx.study.results.chance import chance_level, pairs_of
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.counts import more_often
from minitx.study.statistics.intervals import fraction_interval
from minitx.study.statistics.multiple import LEVEL, holm

LEARNED = 0.99  # accuracy on val
METRIC = "val/accuracy"
# In the figure, whose rungs are 1 apart: the distance of arms, and the width of the seeds of one.
APART, WIDE = 0.14, 0.08


def section(results: Results) -> Section | None:
    if METRIC not in results.curves:
        return None
    conditions = [each for each in conditions_of(results) if len(each.details(results, "recall"))]
    seeds = pd.DataFrame(row for each in conditions for row in _seeds(results, each))
    if not len(seeds):
        return None
    of_arms = [(str(arm), found) for arm, found in seeds.groupby("arm", sort=False)]
    table = pd.DataFrame(row for arm, found in of_arms for row in _rungs(arm, found))
    compared = _compared(table)
    soon = [_soon(str(name), found) for name, found in seeds.groupby("rung", sort=False)]
    few = [_one_rung(table["rung"].iloc[0])] if len(soon) == 1 else []
    answers = [
        *soon,
        *few,
        *_differences(compared, may_claim(results)),
        *(_learners(arm, table[table["arm"] == arm]) for arm, _ in of_arms),
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
            "guessing a value from the sequence: one divided by the number of pairs. The first arm "
            "is compared with each other one at each point of the grid by Boschloo's exact test, "
            "with Holm's correction for all of these "
            f"{count(len(compared), 'comparison')}."
        ),
    )


def rung(results: Results, condition: Condition) -> str:
    """Return a point of the grid in words, with its pairs: "2 pairs, 16 tokens of context"."""
    if "task.pairs" in condition.axes:
        return condition.place
    pairs = pairs_of(results, condition)
    return ", ".join(filter(None, [count(pairs, "pair") if pairs else "", condition.place]))


def _seeds(results: Results, condition: Condition) -> list[dict[str, Any]]:
    """Return a row for each seed: whether it learned, and what it saw until then or in total."""
    rows = []
    for run in condition.finished.to_dict("records"):
        curve = results.curves[results.curves["key"] == run["key"]].dropna(subset=[METRIC])
        if not len(curve):
            continue
        reached = curve[curve[METRIC] >= LEARNED]
        until = reached.iloc[0] if len(reached) else curve.iloc[-1]
        rows.append(
            {
                "arm": condition.arm,
                "rung": rung(results, condition),
                "chance level": chance_level(results, condition),
                "seed": run["seed"],
                "learned": bool(len(reached)),
                "steps": int(until["step"]),
                "tokens": int(until["tokens_seen"]),
                "best accuracy on val": curve[METRIC].max(),
                "accuracy on test": run[results.metric],
            }
        )
    return rows


def _rungs(arm: str, seeds: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each rung of an arm."""
    rows = []
    for name, found in seeds.groupby("rung", sort=False):
        learned = found[found["learned"]]
        rows.append(
            {
                "arm": arm,
                "rung": name,
                "seeds": len(found),
                "learned": len(learned),
                **fraction_interval(len(learned), len(found)).columns("fraction that learned"),
                "median steps until then": learned["steps"].median(),
                "median tokens until then": learned["tokens"].median(),
                "lowest accuracy on test of these": learned["accuracy on test"].min(),
                "chance level": found["chance level"].iloc[0],
            }
        )
    return rows


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the seeds of the first arm with those of each other arm, on each rung of both."""
    first, *others = (found for _, found in table.groupby("arm", sort=False))
    rows = []
    for one, other in (pair for each in others for pair in _shared(first, each)):
        hits, tries = ((one[name], other[name]) for name in ("learned", "seeds"))
        rows.append(
            {
                "first": one["arm"],
                "second": other["arm"],
                "rung": one["rung"],
                "first's seeds that learn it": f"{hits[0]} of {tries[0]}",
                "second's seeds that learn it": f"{hits[1]} of {tries[1]}",
                "more": int(np.sign(hits[0] / tries[0] - hits[1] / tries[1])),
                "p": more_often(hits, tries),
            }
        )
    found = pd.DataFrame(rows)
    return found.assign(**{"corrected p": holm(found["p"])}) if rows else found


def _shared(
    first: pd.DataFrame, other: pd.DataFrame
) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Return the rows of both arms for each rung that both have."""
    rows = {row["rung"]: row for row in other.to_dict("records")}
    return [(row, rows[row["rung"]]) for row in first.to_dict("records") if row["rung"] in rows]


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


def _learners(arm: str, rungs: pd.DataFrame) -> str:
    """Count the seeds that learned each rung."""
    parts = [
        f"{row['learned']} of {row['seeds']} with {row['rung']} (exact 95% interval of the "
        f"fraction {whole_percent(row['low'])} to {whole_percent(row['high'])})"
        for row in rungs.to_dict("records")
    ]
    return f"Seeds of {arm} that learn it: {'; '.join(parts)}."


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
