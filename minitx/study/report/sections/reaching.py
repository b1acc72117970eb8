"""Show how much training each arm needs for a quality that the first arm reaches, too."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import Measure
from minitx.study.report.ratios import EQUAL, is_equal, ratio_in, times
from minitx.study.report.rules.machine import NO_TIMES, is_shared
from minitx.study.report.sections import Section
from minitx.study.report.sections.curves import OPERATIONS, SECONDS, TOKENS, measure_on_val
from minitx.study.report.style import (
    draw_point,
    finish,
    name_axes,
    name_rows,
    panels,
    styles,
    ticks_at_1_2_5,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.ratios import geometric_mean, paired_ratio_interval

COLUMNS = {"tokens_seen": TOKENS, "operations": OPERATIONS, "train_seconds": SECONDS}
IN_WORDS = {TOKENS: "tokens", OPERATIONS: "operations", SECONDS: "training time"}
Curves = dict[str, dict[int, pd.DataFrame]]  # of each seed, by the name of its condition

ROW, LEAST = 0.34, 1.2  # inches of the figure: for an arm, and for a panel


def section(results: Results) -> Section | None:
    measure = measure_on_val(results)
    sign = 1 if measure.lower_is_better else -1
    curves = _curves(results, f"val/{measure.name}", sign)
    costs = dict(COLUMNS)
    if shared := is_shared(results):
        del costs["train_seconds"]
    compared = [
        rows
        for first, other in _pairs(results, curves)
        if (rows := list(_rows(first, other, curves, costs, f"{measure.words} on val", sign)))
    ]
    if not compared:
        return None
    table = pd.DataFrame(row for rows in compared for row in rows)
    return Section(
        name="reaching",
        title=f"How soon they reach the same {measure.words}",
        finding=_finding(table),
        table=table,
        figure=_figure(results, table),
        sentences=[_sentence(measure, rows) for rows in compared],
        answers=len(compared),
        note=(
            "The first arm is compared with each other one at the best "
            f"{measure.words} on val that every run of both reached. This is the best of the worst "
            "run, so it is near the end of that run, and early in the runs of a much better arm. "
            "Costs are interpolated linearly between validations. Operations are those of forward "
            "passes. Ratios: of geometric means over the seeds that both have, with the paired t "
            "interval of their logarithms; each interval is that of a single comparison. Costs "
            f"within a factor of {EQUAL:g}, and those whose interval of the ratio includes 1, "
            "count as equal." + (f" {NO_TIMES}" if shared else "")
        ),
    )


def _curves(results: Results, metric: str, sign: int) -> Curves:
    """Return the curves of the conditions of which every seed has one.

    Their column "value" is lower the better it is.
    """
    if metric not in results.curves:
        return {}
    known = results.curves.dropna(subset=[metric])
    known = known.assign(value=sign * known[metric])
    runs = {str(key): curve for key, curve in known.groupby("key")}
    return {
        condition.name: {
            run["seed"]: runs[run["key"]].assign(
                operations=runs[run["key"]]["tokens_seen"] * run.get("operations_per_token", np.nan)
            )
            for run in condition.finished.to_dict("records")
        }
        for condition in conditions_of(results)
        if len(condition.finished) and set(condition.finished["key"]) <= set(runs)
    }


def _pairs(results: Results, curves: Curves) -> Iterator[tuple[Condition, Condition]]:
    """Yield the first arm with each other one, at each point of the grid that it has."""
    points: dict[str, list[Condition]] = {}
    for condition in conditions_of(results):
        if condition.name in curves:
            points.setdefault(condition.place, []).append(condition)
    reference = next(iter(results.study.arms))
    for found in points.values():
        for first in (each for each in found if each.arm == reference):
            yield from ((first, other) for other in found if other is not first)


def _costs(curve: pd.DataFrame, value: float) -> dict[str, float]:
    """Return what a run took to reach a value, NaN if its first validation is as good."""
    after = int(np.argmax(curve["value"].to_numpy() <= value))
    if not after:
        return dict.fromkeys(COLUMNS, np.nan)
    before, reached = curve.iloc[after - 1], curve.iloc[after]
    share = (before["value"] - value) / (before["value"] - reached["value"])
    return {name: before[name] + share * (reached[name] - before[name]) for name in COLUMNS}


def _rows(
    first: Condition,
    other: Condition,
    curves: Curves,
    costs: dict[str, str],
    measured: str,
    sign: int,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each cost, of the best value that both reach with all shared seeds."""
    seeds = [seed for seed in curves[first.name] if seed in curves[other.name]]
    if not seeds:
        return
    both = [[curves[each.name][seed] for seed in seeds] for each in (first, other)]
    value = max(curve["value"].min() for each in both for curve in each)
    needed = [pd.DataFrame([_costs(curve, value) for curve in each]) for each in both]
    for column, name in costs.items():
        one, two = (each[column].to_numpy(float) for each in needed)
        yield {
            "first": first.arm,
            "second": other.arm,
            "place": other.place,
            measured: float(sign * value),
            "cost": name,
            "of the first": geometric_mean(one),
            "of the second": geometric_mean(two),
            **_ratio(two, one).columns("ratio"),
        }


def _ratio(costs: np.ndarray, reference: np.ndarray) -> Interval:
    unknown = np.isnan([*costs, *reference]).any()
    return Interval(np.nan) if unknown else paired_ratio_interval(costs, reference)


def _sentence(measure: Measure, rows: list[dict[str, Any]]) -> str:
    """Compare what an arm needed with what the first one needed."""
    first, second, place = (rows[0][name] for name in ("first", "second", "place"))
    target = rows[0][f"{measure.words} on val"]
    where = f" with {place}" if place else ""
    both = f"{first} and {second}{where} reached {measure.amount(target)} on val"
    known = [row for row in rows if not np.isnan(row["ratio"])]
    if not known:
        early = [
            arm
            for arm, of in ((first, "of the first"), (second, "of the second"))
            if any(np.isnan(row[of]) for row in rows)
        ]
        return f"{both}, {listed(early)} before the first validation, so no ratio is known."
    equal = [IN_WORDS[row["cost"]] for row in known if is_equal(ratio_in(row))]
    unequal = [
        times(ratio_in(row), f" times the {IN_WORDS[row['cost']]}")
        for row in known
        if not is_equal(ratio_in(row))
    ]
    parts = []
    if unequal:
        parts.append(f"{second} needed {listed(unequal)} that {first} needed")
    if equal:
        parts.append(f"no difference is shown in {listed(equal)}")
    return f"{both}: {'; '.join(parts)}."


def _finding(table: pd.DataFrame) -> str:
    """Name the arms that needed less of the last cost than the first one, or more.

    The last cost is time if it may be compared.
    """
    last = table[table["cost"] == table["cost"].iloc[-1]]
    if last["place"].nunique() > 1:
        return ""
    parts = []
    fewer = "less" if last["cost"].iloc[0] == SECONDS else "fewer"
    for sign, word in ((-1, fewer), (1, "more")):
        arms = [
            row["second"]
            for row in last.dropna(subset=["ratio"]).to_dict("records")
            if not is_equal(ratio_in(row)) and np.sign(row["ratio"] - 1) == sign
        ]
        if arms:
            parts.append(f"{listed(arms)} needed {word}")
    what, first = IN_WORDS[last["cost"].iloc[0]], last["first"].iloc[0]
    return f"{'; '.join(parts)} {what} than {first}" if parts else ""


def _figure(results: Results, table: pd.DataFrame) -> Figure | None:
    """Draw the ratios of each cost, a row for each arm."""
    known = table.dropna(subset=["ratio"])
    if known.empty:
        return None
    names = [
        f"{second}, {place}" if place else str(second)
        for second, place in zip(known["second"], known["place"], strict=True)
    ]
    labels = list(dict.fromkeys(names))
    known = known.assign(row=[labels.index(name) for name in names])
    costs = list(dict.fromkeys(known["cost"]))
    figure, each = panels(len(costs), height=max(LEAST, ROW * len(labels)))
    own = styles([*known["first"], *known["second"]])
    for axes, cost in zip(each, costs, strict=True):
        for found in known[known["cost"] == cost].to_dict("records"):
            ratio = ratio_in(found)
            draw_point(axes, own[found["second"]], ratio.value, found["row"], xerr=ratio)
        axes.axvline(1, color=own[known["first"].iloc[0]].colour, linewidth=1.2)
        name_rows(axes, labels)
        axes.set_xscale("log")
        ticks_at_1_2_5(axes.xaxis)
        name_axes(axes, f"{cost}, as multiples of those of {known['first'].iloc[0]}", "")
    return finish(figure, f"{results.title}: what the same quality costs")
