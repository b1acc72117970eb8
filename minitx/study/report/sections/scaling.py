"""What training, generation and memory cost at every length, and how that grows."""

from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from minitx.study.formatting import count, listed, number, signed
from minitx.study.report.sections import Section
from minitx.study.report.style import (
    draw_figures,
    finish,
    name_axes,
    panels,
    plain_numbers,
    scale_steps,
    styles,
)
from minitx.study.results.conditions import Condition, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.growth import crossings, exponent, last_exponent

LENGTH = "model.context"
ALIKE = 1.1  # costs within such a factor are not told apart: a machine's speed varies as much
ROOM = 2.5  # an axis goes at least from the middle divided by this to the middle times this


@dataclass(frozen=True)
class Cost:
    """A column of the runs, what people call it, and its unit."""

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

# What else stands in the table, behind the costs.
BESIDE = {
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
    """One cost of one arm: lengths in tokens, ascending, and what it comes to at each."""

    arm: str
    lengths: tuple[int, ...]
    costs: tuple[float, ...]

    def at(self, length: int) -> float:
        return self.costs[self.lengths.index(length)]


def section(results: Results) -> Section | None:
    if LENGTH not in results.axes or results.study.measures != "speed":
        return None
    speed = results.runs["tokens_per_second"].astype(float)
    tokens = (speed * results.runs["step_seconds"].astype(float)).round()
    windows = (tokens / results.runs[LENGTH]).round()
    columns = {"training_us": 1e6 / speed, "tokens_a_step": tokens, "windows": windows}
    results = replace(results, runs=results.runs.assign(**columns))
    lines = lines_along(LENGTH, conditions_of(results))
    curves = {cost: _curves(cost, lines) for cost in COSTS}
    curves = {cost: found for cost, found in curves.items() if found}
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
            "Untrained models on random tokens, each point in a process of its own, once for "
            "every seed: the median is given. A step has as many tokens at all lengths, so that "
            "long windows come in small batches; a recurrence then has little to do at once. "
            "Training: the median of whole steps (forward, loss, backward, clipping, optimizer), "
            "with quartiles in the table. Generation: the last token of the context, the others "
            "read, batch of one. Memory: what training adds to what Python and its libraries take. "
            f"Costs within a factor of {ALIKE:g} are not told apart. Exponents: least squares on "
            "logarithms over all lengths, with the 95% interval (t) of the fit, which tells how "
            "well a power law describes them; and the slope between the last two lengths."
        ),
    )


def _curves(cost: Cost, lines: dict[str, list[Condition]]) -> list[Curve]:
    """Of the arms for which two lengths or more are known."""
    curves = []
    for arm, line in lines.items():
        known = [(condition.on(LENGTH), condition.median(cost.column)) for condition in line]
        known = [(length, value) for length, value in known if value > 0]  # NaN is not
        if len(known) > 1:
            curves.append(Curve(arm, *zip(*known, strict=True)))
    return curves


def _table(lines: dict[str, list[Condition]]) -> pd.DataFrame:
    columns = {cost.column: cost.name for cost in COSTS} | BESIDE
    rows = [
        {"arm": arm, "tokens of context": condition.on(LENGTH)}
        | {name: condition.median(column) for column, name in columns.items()}
        | {"measured": len(condition.finished)}
        for arm, line in lines.items()
        for condition in line
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _exponents(curves: dict[Cost, list[Curve]]) -> pd.DataFrame:
    rows = []
    for cost, found in curves.items():
        for curve in found:
            interval = exponent(curve.lengths, curve.costs)
            rows.append(
                {
                    "cost": cost.name,
                    "arm": curve.arm,
                    "exponent": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "at the end": last_exponent(curve.lengths, curve.costs),
                    "lengths": len(curve.lengths),
                }
            )
    return pd.DataFrame(rows)


def _comparison(cost: Cost, curves: list[Curve]) -> str:
    """Who has the advantage at the shortest and at the longest length, and where that changes."""
    shared = sorted(set.intersection(*(set(curve.lengths) for curve in curves)))
    if not shared:
        return f"{cost.words}: no length was measured for all arms."
    ends = dict.fromkeys([shared[0], shared[-1]])  # once, where there is but one
    rankings = [f"at {number(length)} tokens {_ranking(cost, curves, length)}" for length in ends]
    costs = {curve.arm: [curve.at(length) for length in shared] for curve in curves}
    changes = [
        f"of {one} and {other} between {number(start)} and {number(end)} tokens"
        for one, other in combinations(costs, 2)
        for start, end in crossings(shared, costs[one], costs[other], ALIKE)
    ]
    order = f" The order changes {listed(changes)}." if changes else ""
    return f"{cost.words}: {'; '.join(rankings)}.{order}"


def _ranking(cost: Cost, curves: list[Curve], length: int) -> str:
    """The arms in the order of what they cost, as multiples of the least."""
    ordered = sorted(curves, key=lambda curve: curve.at(length))
    least = ordered[0].at(length)
    alike = [curve.arm for curve in ordered if curve.at(length) < ALIKE * least]
    more = [
        f"{curve.arm} {curve.at(length) / least:.3g} times that" for curve in ordered[len(alike) :]
    ]
    verb = "takes" if len(alike) == 1 else "take about"
    return ", ".join([f"{listed(alike)} {verb} {_three(least)} {cost.unit}", *more])


def _growth(cost: Cost, curves: list[Curve]) -> str:
    """The exponents, over all lengths and at the end."""
    parts = []
    for curve in curves:
        whole = exponent(curve.lengths, curve.costs).value
        start, end = curve.lengths[-2:]
        parts.append(
            f"{curve.arm} to the power of {_power(whole)}, from {number(start)} to "
            f"{number(end)} tokens {_power(last_exponent(curve.lengths, curve.costs))}"
        )
    return f"{cost.words}, growth with the length: {'; '.join(parts)}."


def _power(value: float) -> str:
    return signed(f"{value:.2f}")


def _conditions(results: Results) -> str:
    """What was measured where."""
    runs = results.finished
    threads = [count(int(each), "thread") for each in sorted(set(runs["threads"].dropna()))]
    tokens, windows, sizes = (
        runs[name].dropna() for name in ("tokens_a_step", "windows", "parameters")
    )
    where = results.facts.get("processor", "the machine below")
    return (
        f"Measured with {listed(threads)} of torch on {where}: steps of {_span(tokens)} tokens, "
        f"in {_span(windows)} windows, models of {_span(sizes)} parameters."
    )


def _span(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _three(value: float) -> str:
    """To three digits: costs are not known better."""
    return number(float(f"{value:.3g}"))


def _figure(results: Results, curves: dict[Cost, list[Curve]]) -> Figure:
    figure, each = panels(len(curves), width=3.9)
    names = list(dict.fromkeys(curve.arm for found in curves.values() for curve in found))
    own = styles(names)
    for axes, (cost, found) in zip(each, curves.items(), strict=True):
        for curve in found:
            draw_figures(axes, own[curve.arm], curve.lengths, curve.costs)
        scale_steps(axes.xaxis, [length for curve in found for length in curve.lengths])
        axes.set_yscale("log")
        costs = [value for curve in found for value in curve.costs]
        middle = sqrt(min(costs) * max(costs))  # costs that hardly differ are not to look as if
        axes.set_ylim(min(min(costs) / 1.2, middle / ROOM), max(max(costs) * 1.2, middle * ROOM))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.yaxis)
        name_axes(axes, "tokens of context", cost.name)
    return finish(figure, f"{results.study.name} on {results.task}", own)
