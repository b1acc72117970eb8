"""Show how much training each arm needs for a quality that the first arm reaches, too."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from minitx.drawing.figures import TEXT_SIZE, drawable, text_style
from minitx.drawing.formatting import listed
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import Measure
from minitx.study.report.ratios import EQUAL, is_equal, ratio_in, times
from minitx.study.report.sections import Section
from minitx.study.report.sections.cost import is_shared
from minitx.study.report.sections.curves import OPERATIONS, SECONDS, TOKENS, measure_on_val
from minitx.study.report.style import (
    draw_point,
    finish,
    name_axes,
    panels,
    plain_numbers,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.growth import ratio_interval

COLUMNS = {"tokens_seen": TOKENS, "operations": OPERATIONS, "train_seconds": SECONDS}
IN_WORDS = {TOKENS: "tokens", OPERATIONS: "operations", SECONDS: "training time"}
ROW, LEAST = 0.34, 1.2  # inches of the figure: for an arm, and for a panel


def section(results: Results) -> Section | None:
    measure = measure_on_val(results)
    compared = [
        (first, other, _target(results, measure, first, other))
        for first, other in _pairs(results, f"val/{measure.name}")
    ]
    if not compared:
        return None
    hidden = {SECONDS} if is_shared(results) else set()
    table = pd.DataFrame(
        row
        for first, other, target in compared
        for row in _rows(results, measure, first, other, target)
        if row["cost"] not in hidden
    )
    return Section(
        name="reaching",
        title=f"How soon they reach the same {measure.words}",
        finding=_finding(table),
        table=table,
        figure=_figure(results, table),
        sentences=[
            _sentence(measure, target, found)
            for (_, _, target), (_, found) in zip(
                compared, table.groupby(["second", "place"], sort=False), strict=True
            )
        ],
        answers=len(compared),
        note=(
            "The first arm is compared with each other one at the best "
            f"{measure.words} on val that every run of both reached. This is the best of the worst "
            "run, so it is near the end of that run, and early in the runs of a much better arm. "
            "Costs are interpolated linearly between validations. Operations are those of forward "
            "passes. Ratios: of geometric means over seeds, with Welch's t interval on logarithms; "
            f"each interval is that of a single comparison. Costs within a factor of {EQUAL:g}, "
            "and those whose interval of the ratio includes 1, count as equal."
            + (" Other work shared the machine, so times are not compared." if hidden else "")
        ),
    )


def _pairs(results: Results, metric: str) -> Iterator[tuple[Condition, Condition]]:
    """Yield the first arm with each other one, at each point of the grid."""
    known = results.curves.dropna(subset=[metric])["key"] if metric in results.curves else ()
    learned = [
        each
        for each in conditions_of(results)
        if len(each.finished) and each.finished["key"].isin(known).all()
    ]
    points: dict[str, list[Condition]] = {}
    for condition in learned:
        points.setdefault(condition.place, []).append(condition)
    for first, *others in points.values():
        yield from ((first, other) for other in others)


def _curves(results: Results, measure: Measure, condition: Condition) -> list[pd.DataFrame]:
    """Return the curve of each seed, whose column "value" is lower the better it is."""
    found = results.curves.dropna(subset=[f"val/{measure.name}"])
    sign = 1 if measure.lower_is_better else -1
    curves = []
    for run in condition.finished.to_dict("records"):
        curve = found[found["key"] == run["key"]]
        operations = curve["tokens_seen"] * run.get("operations_per_token", np.nan)
        curves.append(
            curve.assign(operations=operations, value=sign * curve[f"val/{measure.name}"])
        )
    return curves


def _target(results: Results, measure: Measure, *conditions: Condition) -> float:
    """Return the best value that every run of the conditions reaches."""
    curves = [each for condition in conditions for each in _curves(results, measure, condition)]
    worst = max(curve["value"].min() for curve in curves)
    return float(worst if measure.lower_is_better else -worst)


def _costs(curve: pd.DataFrame, value: float) -> dict[str, float]:
    """Return what a run took to reach a value, NaN if its first validation is as good."""
    after = int(np.argmax(curve["value"].to_numpy() <= value))
    if not after:
        return dict.fromkeys(COLUMNS, np.nan)
    before, reached = curve.iloc[after - 1], curve.iloc[after]
    share = (before["value"] - value) / (before["value"] - reached["value"])
    return {name: before[name] + share * (reached[name] - before[name]) for name in COLUMNS}


def _rows(
    results: Results, measure: Measure, first: Condition, other: Condition, target: float
) -> Iterator[dict[str, Any]]:
    """Yield a row for each cost that is known."""
    value = target if measure.lower_is_better else -target
    needed = {
        condition.arm: pd.DataFrame(
            [_costs(curve, value) for curve in _curves(results, measure, condition)]
        )
        for condition in (first, other)
    }
    for column, name in COLUMNS.items():
        one, two = (needed[each.arm][column].to_numpy(float) for each in (first, other))
        yield {
            "first": first.arm,
            "second": other.arm,
            "place": other.place,
            f"{measure.words} on val": target,
            "cost": name,
            "of the first": _mean(one),
            "of the second": _mean(two),
            **_ratio(two, one).columns("ratio"),
        }


def _ratio(costs: np.ndarray, reference: np.ndarray) -> Interval:
    unknown = np.isnan([*costs, *reference]).any()
    return Interval(np.nan) if unknown else ratio_interval(costs, reference)


def _mean(costs: np.ndarray) -> float:
    return float(np.exp(np.log(costs).mean()))


def _sentence(measure: Measure, target: float, rows: pd.DataFrame) -> str:
    """Compare what an arm needed with what the first one needed."""
    first, second, place = rows[["first", "second", "place"]].iloc[0]
    where = f" with {place}" if place else ""
    both = f"{first} and {second}{where} reached {measure.amount(target)} on val"
    known = rows[rows["ratio"].notna()].to_dict("records")
    if not known:
        early = [
            arm
            for arm, of in ((first, "of the first"), (second, "of the second"))
            if rows[of].isna().any()
        ]
        return f"{both}, {listed(early)} before the first validation, so no ratio is known."
    equal = [IN_WORDS[row["cost"]] for row in known if is_equal(ratio_in(row))]
    unequal = [
        f"{times(ratio_in(row))} the {IN_WORDS[row['cost']]}"
        for row in known
        if not is_equal(ratio_in(row))
    ]
    parts = []
    if unequal:
        parts.append(f"{second} needed {listed(unequal)} of {first}")
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
    labels = [
        f"{second}, {place}" if place else str(second)
        for second, place in dict.fromkeys(zip(known["second"], known["place"], strict=True))
    ]
    costs = list(dict.fromkeys(known["cost"]))
    figure, each = panels(len(costs), height=max(LEAST, ROW * len(labels)))
    own = styles([*known["first"], *known["second"]])
    for axes, cost in zip(each, costs, strict=True):
        for row, found in enumerate(known[known["cost"] == cost].to_dict("records")):
            ratio = ratio_in(found)
            draw_point(axes, own[found["second"]], ratio.value, row, xerr=ratio)
        axes.axvline(1, color=own[known["first"].iloc[0]].colour, linewidth=1.2)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(
            range(len(labels)), list(map(drawable, labels)), size=TEXT_SIZE, **text_style()
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.xaxis)
        name_axes(axes, f"{cost}, as multiples of those of {known['first'].iloc[0]}", "")
    return finish(figure, f"{results.title}: what the same quality costs")
