"""Estimate the amount of data at which one arm overtakes another."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minitx.drawing.figures import INK, MUTED, TEXT_SIZE, text_style
from minitx.drawing.formatting import count, percent
from minitx.metrics.bootstrap import Interval, percentile_interval
from minitx.metrics.decomposable import Measure
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.axes import TRAIN_FRACTION, axis_name
from minitx.study.results.conditions import Condition, lines_along, scored_conditions
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import LEAST_SEEDS, difference_interval, drawn_differences

DRAWS = 10_000


def section(results: Results) -> Section | None:
    if TRAIN_FRACTION not in results.axes:
        return None
    lines = lines_along(TRAIN_FRACTION, scored_conditions(results))
    (first, line), *others = lines.items() or [("", [])]
    pairs = [_pair(results, (first, name), line, other) for name, other in others]
    pairs = [pair for pair in pairs if len(pair.fractions) > 1]
    if not pairs:
        return None
    return Section(
        name="crossover",
        title="How much data it takes",
        finding=pairs[0].finding() if len(pairs) == 1 else "",
        table=pd.concat([pair.table() for pair in pairs], ignore_index=True),
        figure=_figure(results, pairs),
        sentences=[pair.sentence() for pair in pairs],
        answers=len(pairs),
        more={"crossings": pd.DataFrame([pair.row() for pair in pairs])},
        note=(
            "Above zero, the first of the two is ahead on test. Bands: 95% intervals over the "
            f"seeds that both have (paired t), if they are {LEAST_SEEDS} or more. Between the "
            "fractions that were tried, the lead is interpolated linearly over the logarithm of "
            "the fraction. The interval of the crossing has the percentiles of the crossings of "
            f"{DRAWS:,} curves, in which each lead is drawn from its t distribution over seeds. It "
            "ignores the error of the interpolation."
        ),
    )


@dataclass(frozen=True)
class _Pair:
    """Two arms, and the lead of the first at each fraction of the data that both were trained on.

    `values` has the scores of both arms for each fraction, over the seeds that both have, (seeds,)
    each.
    """

    names: tuple[str, str]
    measure: Measure
    fractions: list[float]
    values: list[tuple[np.ndarray, np.ndarray]]

    @cached_property
    def leads(self) -> list[Interval]:
        """The interval of the lead over seeds, for each fraction."""
        found = [difference_interval(*each, self.measure.bounds) for each in self.values]
        return [-each for each in found] if self.measure.lower_is_better else found

    @cached_property
    def seeds(self) -> int:
        return min(len(first) for first, _ in self.values)

    @cached_property
    def times(self) -> int:
        """The number of times that the lead changes."""
        return sum((a.value > 0) != (b.value > 0) for a, b in pairwise(self.leads))

    @cached_property
    def drawn(self) -> np.ndarray:
        """The crossings of drawn leads (draws,), NaN if a draw has none."""
        generator = np.random.default_rng(0)
        leads = [drawn_differences(*each, DRAWS, generator) for each in self.values]
        return last_crossing(self.fractions, np.stack(leads, axis=1))

    @cached_property
    def crossing(self) -> Interval:
        """The fraction at which the lead changes for the last time, NaN if it never does."""
        leads = np.array([[lead.value for lead in self.leads]])
        found = float(last_crossing(self.fractions, leads)[0])
        if self.seeds < LEAST_SEEDS or np.isnan(found):
            return Interval(found)
        return percentile_interval(found, self.drawn)

    @cached_property
    def crossed(self) -> float:
        """The fraction of the draws that cross, NaN for too few seeds."""
        return float(np.isfinite(self.drawn).mean()) if self.seeds >= LEAST_SEEDS else np.nan

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "first": self.names[0],
                "second": self.names[1],
                axis_name(TRAIN_FRACTION): fraction,
                **lead.columns("lead of the first"),
            }
            for fraction, lead in zip(self.fractions, self.leads, strict=True)
        )

    def row(self) -> dict[str, object]:
        return {
            "first": self.names[0],
            "second": self.names[1],
            **self.crossing.columns("last crossing at a fraction of"),
            "crossings": self.times,
            "draws that cross": self.crossed,
        }

    def finding(self) -> str:
        if np.isnan(self.crossing.value):
            return f"no crossing up to {_percent(self.fractions[-1])} of the data"
        return f"by the means, the curves cross at {_percent(self.crossing.value)} of the data"

    def sentence(self) -> str:
        one, other = self.names
        ahead, behind = (one, other) if self.leads[-1].value > 0 else (other, one)
        if np.isnan(self.crossing.value):
            start, end = map(_percent, (self.fractions[0], self.fractions[-1]))
            some = "" if np.isnan(self.crossed) else f"; {self.crossed:.0%} of the draws cross"
            return (
                f"The curves do not cross up to {end} of the data: the mean of {ahead} is "
                f"{self.measure.direction} than that of {behind} at every fraction from {start} "
                f"on{some}."
            )
        where = f"{ahead} overtakes {behind} at {_percent(self.crossing.value)} of the data"
        if self.times > 1:
            where += f", the last of {self.times} crossings"
        if not self.crossing.known:
            verb = "is" if self.seeds == 1 else "are"
            seeds = f"{count(self.seeds, 'seed')} at a point {verb} too few for an interval"
            return f"By the means, {where}. {seeds}."
        low, high = map(_percent, (self.crossing.low, self.crossing.high))
        return (
            f"By the means, {where} (95% interval over {count(self.seeds, 'seed')} {low} to "
            f"{high}, over the {self.crossed:.0%} of the draws that cross)."
        )


def _pair(
    results: Results, names: tuple[str, str], first: list[Condition], second: list[Condition]
) -> _Pair:
    others = {condition.on(TRAIN_FRACTION): condition for condition in second}
    values = {}
    for condition in first:
        fraction = condition.on(TRAIN_FRACTION)
        if fraction in others:
            both = (each.by_seed(results.metric) for each in (condition, others[fraction]))
            scores = pd.concat(both, axis=1, join="inner").to_numpy()
            if len(scores):
                values[float(fraction)] = (scores[:, 0], scores[:, 1])
    return _Pair(names, results.measure, list(values), list(values.values()))


def last_crossing(fractions: list[float], leads: np.ndarray) -> np.ndarray:
    """Return the fractions (rows,) at which leads (rows, points) last change sign, NaN if never.

    Leads are interpolated linearly over the logarithm of the fraction.
    """
    places = np.log(fractions)
    crossing = np.full(len(leads), np.nan)
    for left in range(len(fractions) - 1):
        before, after = leads[:, left], leads[:, left + 1]
        crosses = (before > 0) != (after > 0)
        part = before / np.where(crosses, before - after, np.inf)  # 0 to 1
        found = np.exp(places[left] + part * (places[left + 1] - places[left]))
        crossing = np.where(crosses, found, crossing)
    return crossing


def _percent(fraction: float) -> str:
    return percent(fraction, 2) if fraction < 0.995 else "100%"


def _figure(results: Results, pairs: list[_Pair]) -> Figure:
    figure, [axes] = panels()
    # Each pair is drawn in the style of its second arm.
    own = styles(pair.names[1] for pair in pairs)
    scale = 100 if results.measure.is_fraction else 1
    axes.axhline(0, color=MUTED, linewidth=1)
    for pair in pairs:
        leads = [
            Interval(scale * each.value, scale * each.low, scale * each.high) for each in pair.leads
        ]
        draw_line(axes, own[pair.names[1]], pair.fractions, leads)
        if not np.isnan(pair.crossing.value):
            _draw_crossing(axes, pair.crossing)
    scale_steps(axes.xaxis, pairs[0].fractions, _percent)
    unit = "percentage points" if results.measure.is_fraction else results.measure.words
    first, second = pairs[0].names
    rival = second if len(pairs) == 1 else "..."
    name_axes(axes, axis_name(TRAIN_FRACTION), f"lead of {first} over {rival} ({unit})")
    return finish(figure, f"{results.title}: which is ahead", own)


def _draw_crossing(axes: Axes, crossing: Interval) -> None:
    if crossing.known:
        ends = [crossing.low, crossing.high]
        axes.plot(ends, [0, 0], color=INK, linewidth=3, solid_capstyle="butt", zorder=3)
    axes.plot(crossing.value, 0, "o", color=INK, markersize=7, zorder=3)
    axes.annotate(
        _percent(crossing.value),
        (crossing.value, 0),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        size=TEXT_SIZE,
        **text_style(),
    )
