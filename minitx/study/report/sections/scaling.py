"""Show the time of training per token at each length and batch size, and how they compare."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from minitx.drawing.formatting import count, listed, number, percent
from minitx.metrics.bootstrap import Interval
from minitx.study.report.ratios import EQUAL, is_equal, ratio_in, times
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
from minitx.study.results.axes import at
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.growth import LEAST_LENGTHS, MOST_OFF, Growth, linear_growth
from minitx.study.statistics.ratios import ratio_interval

LENGTH, BATCH = "model.context", "data.batch_size"
COST = "training_us"  # microseconds per token
PASSES = "forward and backward alone"
MOST_NAMED = 3  # groups of arms in the heading

# Further columns of the table.
MORE = {
    "tokens_per_second": "tokens/s",
    "step_seconds": "seconds/step",
    "step_seconds_low": "lower quartile",
    "step_seconds_high": "upper quartile",
    "forward_backward_seconds": "of it forward and backward",
    "steps": "steps timed",
    "cpu_share": "CPU share",
    "operations_per_token": "operations/token",
    "parameters": "parameters",
}


def section(results: Results) -> Section | None:
    if LENGTH not in results.axes or results.study.measures != "speed":
        return None
    microseconds = 1e6 / results.runs["tokens_per_second"].astype(float)
    results = replace(results, runs=results.runs.assign(**{COST: microseconds}))
    conditions = [each for each in conditions_of(results) if len(each.values(COST))]
    if not conditions:
        return None
    ratios = _ratios(conditions)
    more = {"ratios": ratios, "growth": _growth(conditions)}
    sentences = [
        *_comparisons(ratios),
        *_batches(conditions),
        *_lengths(conditions),
        _conditions(results),
    ]
    return Section(
        name="scaling",
        title="How fast they train",
        finding=_finding(conditions),
        table=_table(conditions),
        figure=_figure(results, conditions),
        sentences=sentences,
        answers=len(sentences),
        more={name: table for name, table in more.items() if len(table)},
        note=(
            "Untrained models on random tokens, because no time depends on their values. Each "
            "point is measured in several processes. Lines: their medians. Bands: from the fastest "
            "to the slowest process. A step consists of forward, loss, backward, clipping and "
            "optimizer, and is not compiled. Ratios: of geometric means, with Welch's t interval "
            "on logarithms over processes, if there are four or more; each interval is that of a "
            "single comparison. "
            f"Times within a factor of {EQUAL:g}, and those whose interval of the ratio includes "
            "1, count as equal. Growth: time per token = a + b times the length, fitted to the "
            "geometric means at three lengths or more by relative errors, with t intervals. It is "
            f"given only if the line is within {percent(MOST_OFF)} of every mean, and if the "
            "interval of b is not below 0. CPU share: the CPU time of the process, divided by the "
            "product of the elapsed time and its threads."
        ),
    )


def _table(conditions: list[Condition]) -> pd.DataFrame:
    rows = [
        {"arm": each.arm, **dict(zip(each.axes, each.point, strict=True))}
        | {"µs/token": each.median(COST)}
        | {name: each.median(column) for column, name in MORE.items()}
        | {"processes": len(each.values(COST))}
        for each in conditions
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _ratios(conditions: list[Condition]) -> pd.DataFrame:
    """Return the time of each arm as a multiple of the first arm's, at each point."""
    first = conditions[0].arm
    reference = {each.point: each for each in conditions if each.arm == first}
    return pd.DataFrame(
        [
            {"arm": each.arm, "of": first, **dict(zip(each.axes, each.point, strict=True))}
            | ratio_interval(each.values(COST), other.values(COST)).columns("ratio")
            | _passes(each, other).columns(PASSES, f"{PASSES}: low", f"{PASSES}: high")
            | {"place": each.place}
            for each in conditions
            if each.arm != first and (other := reference.get(each.point)) is not None
        ]
    )


def _passes(condition: Condition, other: Condition) -> Interval:
    """Return the ratio of forward and backward passes alone, NaN if it is not known."""
    known = [each.values("forward_backward_seconds") for each in (condition, other)]
    return ratio_interval(*known) if all(map(len, known)) else Interval(np.nan)


def _comparisons(ratios: pd.DataFrame) -> Iterator[str]:
    """Compare each arm with the first one over all points."""
    if ratios.empty:
        return
    for (arm, first), found in ratios.groupby(["arm", "of"], sort=False):
        unequal = found[[not is_equal(ratio_in(row)) for row in found.to_dict("records")]]
        slower, faster = unequal[unequal["ratio"] > 1], unequal[unequal["ratio"] < 1]
        parts = []
        if len(slower):
            most = slower.loc[slower["ratio"].idxmax()]
            parts.append(
                f"longer at {len(slower)}, most with {most['place']}: {times(ratio_in(most))}"
            )
        if len(faster):
            least = faster.loc[faster["ratio"].idxmin()]
            parts.append(
                f"shorter at {len(faster)}, most with {least['place']}: {times(ratio_in(least))}"
            )
        if equal := len(found) - len(slower) - len(faster):
            parts.append(f"equal at {equal}")
        alone = [
            row["place"]
            for row in unequal.to_dict("records")
            if is_equal(Interval(row[PASSES], row[f"{PASSES}: low"], row[f"{PASSES}: high"]))
        ]
        if alone:
            parts.append(
                "without clipping and the optimizer also equal at "
                f"{listed(f'({place})' for place in alone)}"
            )
        yield (
            f"Training time per token of {arm}, compared with {first} at "
            f"{count(len(found), 'point')} of the grid: {'; '.join(parts)}."
        )


def _batches(conditions: list[Condition]) -> Iterator[str]:
    """Say by how much a batch shortens the time per token, by work that is done in parallel."""
    if BATCH not in conditions[0].axes:
        return
    for place, found in _by_place(conditions, without=BATCH).items():
        sizes = sorted({each.on(BATCH) for each in found})
        ends: dict[str, dict[int, np.ndarray]] = {each.arm: {} for each in found}
        for each in found:
            ends[each.arm][each.on(BATCH)] = each.values(COST)
        shared = {arm: costs for arm, costs in ends.items() if {sizes[0], sizes[-1]} <= set(costs)}
        if len(sizes) > 1 and shared:
            yield (
                f"With {place}, a batch of {sizes[-1]} instead of {sizes[0]} shortens the time per "
                "token by a factor of "
                + listed(
                    f"{times(ratio_interval(costs[sizes[0]], costs[sizes[-1]]), '')} for {arm}"
                    for arm, costs in shared.items()
                )
                + "."
            )


def _lengths(conditions: list[Condition]) -> Iterator[str]:
    """Say by how much the longest length changes the time per token of the shortest."""
    for place, found in _by_place(conditions, without=LENGTH).items():
        lines = _lines(found)
        ends = {arm: (line[0], line[-1]) for arm, line in lines.items() if len(line) > 1}
        if not ends:
            continue
        short, long = next(iter(ends.values()))
        factors = listed(
            f"{times(ratio_interval(last.values(COST), first.values(COST)), '')} for {arm}"
            for arm, (first, last) in ends.items()
            if (first.on(LENGTH), last.on(LENGTH)) == (short.on(LENGTH), long.on(LENGTH))
        )
        yield (
            f"{f'With {place}, the' if place else 'The'} time per token at "
            f"{number(long.on(LENGTH))} tokens of context, as a multiple of that at "
            f"{number(short.on(LENGTH))}, is {factors}."
        )


def _growth(conditions: list[Condition]) -> pd.DataFrame:
    """Return the fits of a + b times the length: a in µs per token, b in ns per token and token."""
    rows = []
    for found in _by_place(conditions, without=LENGTH).values():
        for arm, line in _lines(found).items():
            pairs = [(each.on(LENGTH), cost) for each in line for cost in each.values(COST)]
            if len(line) >= LEAST_LENGTHS:
                fit = linear_growth(*zip(*pairs, strict=True))
                a, b = (fit.a, fit.b) if fit.fits else (Interval(np.nan), Interval(np.nan))
                b = Interval(*(1000 * end for end in (b.value, b.low, b.high)))
                rest = line[0].without(LENGTH)
                rows.append(
                    {"arm": arm, **dict(zip(rest.axes, rest.point, strict=True))}
                    | {"fit": _fit(fit)}
                    | a.columns("a, µs/token", "a low", "a high")
                    | b.columns("b, ns/token²", "b low", "b high")
                )
    return pd.DataFrame(rows)


def _fit(fit: Growth) -> str:
    """Say how well the line fits, or that there is none."""
    off = f"{percent(fit.off)} off at {number(int(fit.at_length))} tokens"
    if fit.fits:
        return f"at most {off}"
    return f"no fit: the best line {'falls, and ' if fit.b.value < 0 else ''}is {off}"


def _by_place(conditions: list[Condition], without: str) -> dict[str, list[Condition]]:
    """Group conditions that differ only in the arm and on one axis, by what they share in words."""
    places: dict[str, list[Condition]] = {}
    for each in conditions:
        places.setdefault(each.without(without).place, []).append(each)
    return places


def _lines(conditions: list[Condition]) -> dict[str, list[Condition]]:
    """Return the conditions of each arm by length, which ascends."""
    arms: dict[str, list[Condition]] = {}
    for each in sorted(conditions, key=lambda each: each.on(LENGTH)):
        arms.setdefault(each.arm, []).append(each)
    order = dict.fromkeys(each.arm for each in conditions)
    return {arm: arms[arm] for arm in order}


def _conditions(results: Results) -> str:
    """Describe the sizes of models, and the machine."""
    runs = results.finished
    sizes = runs["parameters"].dropna()
    where = results.facts.get("GPU") or results.facts.get("processor", "the machine below")
    low, high = (number(int(end)) for end in (sizes.min(), sizes.max()))
    size = low if low == high else f"{low} to {high}"
    return f"Measured on {where}, with models of {size} parameters."


def _finding(conditions: list[Condition]) -> str:
    """Say at how many points of the grid which arms were fastest, those that count as equal too.

    The fastest of all arms at all points is a choice that no test corrects, so this is about these
    runs only.
    """
    points: dict[tuple[Any, ...], list[Condition]] = {}
    for each in conditions:
        points.setdefault(each.point, []).append(each)
    shared = [found for found in points.values() if len(found) > 1]
    places: dict[tuple[str, ...], int] = {}
    for found in shared:
        least = min(found, key=lambda each: np.log(each.values(COST)).mean())
        ratios = {each.arm: ratio_interval(each.values(COST), least.values(COST)) for each in found}
        arms = tuple(arm for arm, ratio in ratios.items() if arm == least.arm or is_equal(ratio))
        places[arms] = places.get(arms, 0) + 1
    if not places:
        return ""
    most, *others = sorted(places, key=lambda arms: -places[arms])[:MOST_NAMED]
    verb = "was" if len(most) == 1 else "were"
    share = f"{places[most]} of {count(len(shared), 'point')}"
    parts = [f"{listed(most)} {verb} fastest in these runs at {share}"]
    return "; ".join(parts + [f"{listed(arms)} at {places[arms]}" for arms in others])


def _figure(results: Results, conditions: list[Condition]) -> Figure:
    """Draw a panel for each point of the other axes."""
    places = _by_place(conditions, without=LENGTH)
    figure, each = panels(len(places), columns=min(2, len(places)))
    own = styles(condition.arm for condition in conditions)
    costs = np.concatenate([condition.values(COST) for condition in conditions])
    for axes, (place, found) in zip(each, places.items(), strict=True):
        for arm, line in _lines(found).items():
            draw_line(axes, own[arm], [point.on(LENGTH) for point in line], map(_range, line))
        scale_steps(axes.xaxis, {point.on(LENGTH) for point in found}, _short)
        axes.set_yscale("log")
        axes.set_ylim(costs.min() / 1.3, costs.max() * 1.3)
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.yaxis)
        name_axes(axes, "tokens of context", place or at(LENGTH))
    return finish(figure, f"{results.title}: training, µs per token", own)


def _short(length: float) -> str:
    """Format a length at a tick: "512", "2k"."""
    return f"{length / 1024:g}k" if length >= 1024 and not length % 1024 else number(length)


def _range(condition: Condition) -> Interval:
    """Return the median over processes, and the fastest and the slowest one."""
    values = condition.values(COST)
    return Interval(float(np.median(values)), float(min(values)), float(max(values)))
