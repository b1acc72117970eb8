"""From how much data on one arm is ahead of another: where their curves cross."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import INK, MUTED, TEXT_SIZE, text_style
from minitx.study.formatting import SHARE_OF_DATA, SHARES, axis_name, count
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.conditions import Condition, conditions_of, lines_along
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import (
    RESAMPLES,
    Interval,
    difference_interval,
    percentile_interval,
)


def section(results: Results) -> Section | None:
    if SHARE_OF_DATA not in results.axes:
        return None
    known = [
        condition for condition in conditions_of(results) if len(condition.values(results.metric))
    ]
    lines = list(lines_along(SHARE_OF_DATA, known).items())
    pairs = [pair for line in lines[1:] if (pair := _Pair.of(results, lines[0], line)) is not None]
    if not pairs:
        return None
    return Section(
        name="crossover",
        title="From how much data on",
        table=pd.concat([pair.table() for pair in pairs], ignore_index=True),
        figure=_figure(results, pairs),
        sentences=[pair.sentence() for pair in pairs],
        answers=len(pairs),
        more={"crossings": pd.DataFrame([pair.row() for pair in pairs])},
        note=(
            "Above zero the first of the two is ahead on test; bands: 95% intervals over seeds "
            "(Welch's t). Between shares that were tried, the lead is taken as a straight line "
            "over the logarithm of the share. The crossing's interval is a bootstrap over seeds "
            f"({RESAMPLES:,} resamples, which draw the seeds of each point anew): with a few "
            "seeds it comes out too narrow, and it does not know what lies between the shares."
        ),
    )


class _Pair:
    """Two arms at the shares that both were trained on, and by how much the first is ahead.

    `leads` are intervals over seeds, one for each of `shares`; `crossing` is where the lead changes
    hands for the last time, NaN where it never does.
    """

    def __init__(
        self,
        results: Results,
        names: tuple[str, str],
        conditions: list[tuple[Condition, Condition]],
    ):
        self.names = names
        self.shares = [float(one.on(SHARE_OF_DATA)) for one, _ in conditions]
        sign = -1 if results.measure.lower_is_better else 1
        values = [
            (sign * a.values(results.metric), sign * b.values(results.metric))
            for a, b in conditions
        ]
        self.leads = [difference_interval(*each) for each in values]
        self.seeds = min(len(side) for each in values for side in each)
        means = np.array([lead.value for lead in self.leads])
        found = float(last_crossing(self.shares, means[None])[0])
        self.times = sum((a > 0) != (b > 0) for a, b in pairwise(means))
        self.crossing, self.crossed = Interval(found), float(self.times > 0)
        if self.seeds > 1:
            drawn = last_crossing(self.shares, _drawn_leads(values))
            self.crossed = float(np.isfinite(drawn).mean())
            if not np.isnan(found):
                self.crossing = percentile_interval(found, drawn)

    @classmethod
    def of(
        cls,
        results: Results,
        first: tuple[str, list[Condition]],
        second: tuple[str, list[Condition]],
    ) -> "_Pair | None":
        """None where they share fewer than two points."""
        at = {condition.on(SHARE_OF_DATA): condition for condition in second[1]}
        conditions = [
            (condition, at[condition.on(SHARE_OF_DATA)])
            for condition in first[1]
            if condition.on(SHARE_OF_DATA) in at
        ]
        return cls(results, (first[0], second[0]), conditions) if len(conditions) > 1 else None

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "first": self.names[0],
                "second": self.names[1],
                axis_name(SHARE_OF_DATA): self.shares,
                "lead of the first": [lead.value for lead in self.leads],
                "low": [lead.low for lead in self.leads],
                "high": [lead.high for lead in self.leads],
            }
        )

    def row(self) -> dict[str, object]:
        return {
            "first": self.names[0],
            "second": self.names[1],
            "last crossing at a share of": self.crossing.value,
            "low": self.crossing.low,
            "high": self.crossing.high,
            "crossings": self.times,
            "resamples that cross": self.crossed if self.seeds > 1 else np.nan,
        }

    def sentence(self) -> str:
        one, other = self.names
        ahead, behind = (one, other) if self.leads[-1].value > 0 else (other, one)
        reach = f"from {_percent(self.shares[0])} to {_percent(self.shares[-1])} of the data"
        if np.isnan(self.crossing.value):
            maybe = (
                f"; {self.crossed:.0%} of the resamples of the seeds cross"
                if self.seeds > 1
                else ""
            )
            return (
                f"There is no crossing in this range: {ahead} has the better mean than {behind} at "
                f"every share {reach}{maybe}."
            )
        where = f"{ahead} overtakes {behind} at {_percent(self.crossing.value)} of the data"
        if self.times > 1:
            where += f", the last of {self.times} crossings"
        if self.seeds < 2:
            return f"By the means {where}; one seed at a point, so there is no interval."
        return (
            f"By the means {where} (95% interval over {count(self.seeds, 'seed')} "
            f"{_percent(self.crossing.low)} to {_percent(self.crossing.high)}, of the "
            f"{self.crossed:.0%} of the resamples that cross)."
        )


def last_crossing(shares: list[float], leads: np.ndarray) -> np.ndarray:
    """Where leads (rows, points) change sign for the last time: shares (rows,), NaN where never.

    Straight lines between the points, over the logarithm of the share.
    """
    places = np.log(shares)
    crossing = np.full(len(leads), np.nan)
    for left in range(len(shares) - 1):
        before, after = leads[:, left], leads[:, left + 1]
        crosses = (before > 0) != (after > 0)
        part = before / np.where(crosses, before - after, np.inf)  # 0 to 1
        found = np.exp(places[left] + part * (places[left + 1] - places[left]))
        crossing = np.where(crosses, found, crossing)
    return crossing


def _drawn_leads(values: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Leads (resamples, points) of seeds drawn with replacement, for each arm and point apart."""
    generator = np.random.default_rng(0)

    def drawn(side: np.ndarray) -> np.ndarray:
        means: np.ndarray = generator.choice(side, (RESAMPLES, len(side))).mean(axis=1)
        return means

    return np.stack([drawn(one) - drawn(other) for one, other in values], axis=1)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.995 else "100%"


def _figure(results: Results, pairs: list[_Pair]) -> Figure:
    figure, [axes] = panels(width=5.6)
    # A line for each arm that the first one is compared with, in that arm's style.
    others = [pair.names[1] for pair in pairs]
    own = styles(others)
    shares = 100 if results.measure.name in SHARES else 1
    axes.axhline(0, color=MUTED, linewidth=1)
    for pair in pairs:
        style = own[pair.names[1]]
        leads = [
            Interval(shares * each.value, shares * each.low, shares * each.high)
            for each in pair.leads
        ]
        draw_line(axes, style, pair.shares, leads)
        if not np.isnan(pair.crossing.value):
            if pair.crossing.known:
                ends = [pair.crossing.low, pair.crossing.high]
                axes.plot(ends, [0, 0], color=INK, linewidth=3, solid_capstyle="butt", zorder=3)
            axes.plot(pair.crossing.value, 0, "o", color=INK, markersize=7, zorder=3)
            axes.annotate(
                _percent(pair.crossing.value),
                (pair.crossing.value, 0),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
                size=TEXT_SIZE,
                **text_style(),
            )
    scale_steps(axes.xaxis, pairs[0].shares, _percent)
    unit = "percentage points" if shares == 100 else results.measure.words
    second = others[0] if len(pairs) == 1 else "..."
    name_axes(axes, axis_name(SHARE_OF_DATA), f"lead of {pairs[0].names[0]} over {second} ({unit})")
    return finish(figure, f"{results.study.name} on {results.task}: who is ahead", own)
