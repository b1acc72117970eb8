"""Show the costs of training and generation at each length, and how fast they grow."""

from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from minitx.drawing.formatting import count, decimals, listed, number, three_digits
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_line,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_steps,
    styles,
)
from minitx.study.results.conditions import Lines, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.growth import crossings, exponent, last_exponent

LENGTH = "model.context"
EQUAL = 1.1  # costs within this factor count as equal; the speed of a machine varies as much
ROOM = 2.5  # an axis spans at least this factor to both sides of its middle


@dataclass(frozen=True)
class Cost:
    """A column of the runs, its name in words, and its unit."""

    column: str
    words: str
    unit: str

    @property
    def name(self) -> str:
        return f"{self.words}, {self.unit}"


COSTS = (
    Cost("training_us", "Training", "µs/token"),
    Cost("latency_ms", "Generation", "ms/token"),
    Cost("peak_memory_mb", "Memory of training", "MB"),
)

# Further columns of the table.
MORE = {
    "tokens_per_second": "tokens/s in training",
    "step_seconds": "seconds/step",
    "step_seconds_low": "lower quartile",
    "step_seconds_high": "upper quartile",
    "forward_backward_seconds": "of it forward and backward",
    "windows": "windows/step",
    "steps": "steps timed",
    "imports_memory_mb": "MB before training",
    "operations_per_token": "operations/token",
    "parameters": "parameters",
}


@dataclass(frozen=True)
class Curve:
    """A cost of an arm at each length in tokens. Lengths ascend."""

    arm: str
    lengths: tuple[int, ...]
    costs: tuple[float, ...]

    def at(self, length: int) -> float:
        return self.costs[self.lengths.index(length)]


Curves = dict[Cost, list[Curve]]


def section(results: Results) -> Section | None:
    if LENGTH not in results.axes or results.study.measures != "speed":
        return None
    speed = results.runs["tokens_per_second"].astype(float)
    tokens = (speed * results.runs["step_seconds"].astype(float)).round()
    windows = (tokens / results.runs[LENGTH]).round()
    columns = {"training_us": 1e6 / speed, "tokens_a_step": tokens, "windows": windows}
    results = replace(results, runs=results.runs.assign(**columns))
    lines = lines_along(LENGTH, conditions_of(results))
    curves = {cost: found for cost in COSTS if (found := _curves(cost, lines))}
    if not curves:
        return None
    return Section(
        name="scaling",
        title="How speed and memory depend on the length",
        table=_table(lines),
        figure=_figure(results, curves),
        sentences=[
            *(_comparison(cost, found) for cost, found in curves.items()),
            *(_growth(cost, found) for cost, found in curves.items()),
            _conditions(results),
        ],
        answers=len(curves),
        more={"exponents": _exponents(curves)},
        note=(
            "Untrained models on random tokens. Each point is measured in a process of its own, "
            "once per seed, and the median is shown. All steps have the same number of tokens, so "
            "batches of long windows are small, and a recurrence then computes little in parallel. "
            "Training: the median of whole steps (forward, loss, backward, clipping, optimizer), "
            "with quartiles in the table. Generation: the last token of the context after the "
            "others were read, batch size 1. Memory: what training adds to Python and its "
            f"libraries. Costs within a factor of {EQUAL:g} count as equal. Exponents: least "
            "squares on logarithms over all lengths, with the 95% interval (t) of the fit, which "
            "tells how well a power law describes the costs; and the slope between the last two "
            "lengths."
        ),
    )


def _curves(cost: Cost, lines: Lines) -> list[Curve]:
    """Return the curves of the arms with at least two known lengths."""
    curves = []
    for arm, line in lines.items():
        known = [(condition.on(LENGTH), condition.median(cost.column)) for condition in line]
        known = [(length, value) for length, value in known if value > 0]  # and not NaN
        if len(known) > 1:
            curves.append(Curve(arm, *zip(*known, strict=True)))
    return curves


def _table(lines: Lines) -> pd.DataFrame:
    columns = {cost.column: cost.name for cost in COSTS} | MORE
    rows = [
        {"arm": arm, "tokens of context": condition.on(LENGTH)}
        | {name: condition.median(column) for column, name in columns.items()}
        | {"measured": len(condition.finished)}
        for arm, line in lines.items()
        for condition in line
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _exponents(curves: Curves) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cost": cost.name,
            "arm": curve.arm,
            **exponent(curve.lengths, curve.costs).columns("exponent"),
            "at the end": last_exponent(curve.lengths, curve.costs),
            "lengths": len(curve.lengths),
        }
        for cost, found in curves.items()
        for curve in found
    )


def _comparison(cost: Cost, curves: list[Curve]) -> str:
    """Rank the arms at the shortest and the longest length, and say where their order changes."""
    shared = sorted(set.intersection(*(set(curve.lengths) for curve in curves)))
    if not shared:
        return f"{cost.words}: no length was measured for all arms."
    ends = dict.fromkeys([shared[0], shared[-1]])  # they may be the same
    rankings = [f"at {number(length)} tokens {_ranking(cost, curves, length)}" for length in ends]
    costs = {curve.arm: [curve.at(length) for length in shared] for curve in curves}
    changes = [
        f"for {one} and {other} between {number(start)} and {number(end)} tokens"
        for one, other in combinations(costs, 2)
        for start, end in crossings(shared, costs[one], costs[other], EQUAL)
    ]
    order = f" The order changes {listed(changes)}." if changes else ""
    return f"{cost.words}: {'; '.join(rankings)}.{order}"


def _ranking(cost: Cost, curves: list[Curve], length: int) -> str:
    """List the arms in the order of their costs, as multiples of the lowest."""
    ordered = sorted(curves, key=lambda curve: curve.at(length))
    least = ordered[0].at(length)
    equal = [curve.arm for curve in ordered if curve.at(length) < EQUAL * least]
    more = [
        f"{curve.arm} {curve.at(length) / least:.3g} times that" for curve in ordered[len(equal) :]
    ]
    verb = "takes" if len(equal) == 1 else "take about"
    return ", ".join([f"{listed(equal)} {verb} {three_digits(least)} {cost.unit}", *more])


def _growth(cost: Cost, curves: list[Curve]) -> str:
    """Describe the exponents, over all lengths and at the end."""
    parts = []
    for curve in curves:
        whole = exponent(curve.lengths, curve.costs).value
        start, end = curve.lengths[-2:]
        parts.append(
            f"{curve.arm} has the exponent {decimals(whole, 2)}, from {number(start)} to "
            f"{number(end)} tokens {decimals(last_exponent(curve.lengths, curve.costs), 2)}"
        )
    return f"{cost.words}, growth with the length: {'; '.join(parts)}."


def _conditions(results: Results) -> str:
    """Describe the sizes of steps and models, and the machine."""
    runs = results.finished
    threads = listed(count(int(each), "thread") for each in sorted(set(runs["threads"].dropna())))
    tokens, windows, sizes = (
        runs[name].dropna() for name in ("tokens_a_step", "windows", "parameters")
    )
    where = results.facts.get("processor", "the machine below")
    return (
        f"Measured with {threads} of torch on {where}: steps of {_span(tokens)} tokens in "
        f"{_span(windows)} windows, models with {_span(sizes)} parameters."
    )


def _span(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _figure(results: Results, curves: Curves) -> Figure:
    figure, each = panels(len(curves), width=3.9)
    names = list(dict.fromkeys(curve.arm for found in curves.values() for curve in found))
    own = styles(names)
    for axes, (cost, found) in zip(each, curves.items(), strict=True):
        for curve in found:
            draw_line(axes, own[curve.arm], curve.lengths, curve.costs)
        scale_steps(axes.xaxis, [length for curve in found for length in curve.lengths])
        axes.set_yscale("log")
        costs = [value for curve in found for value in curve.costs]
        middle = sqrt(min(costs) * max(costs))  # small differences do not fill the axis
        axes.set_ylim(min(min(costs) / 1.2, middle / ROOM), max(max(costs) * 1.2, middle * ROOM))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.yaxis)
        name_axes(axes, "tokens of context", cost.name)
    return finish(figure, results.title, own)
