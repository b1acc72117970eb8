"""What a longer context is worth: the loss at each position, and the gain from each doubling."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.study.formatting import count, number, signed
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import Interval, difference_interval, mean_interval


def section(results: Results) -> Section | None:
    measured = {
        condition.name: _octaves(results, condition) for condition in conditions_of(results)
    }
    measured = {name: octaves for name, octaves in measured.items() if len(octaves)}
    if not measured:
        return None
    sentences = [_last_gain(name, octaves) for name, octaves in measured.items()]
    return Section(
        name="positions",
        title="What a longer context is worth",
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured),
        sentences=[*sentences, *_differences(measured)],
        answers=len(sentences),
        note=(
            "On test, in nats/token. Left: the mean loss at the positions from one doubling of the "
            "context to the next; the token at position n is predicted from the n tokens up to it. "
            "Right: by how much it is lower there than over the positions before. Bands: 95% "
            "intervals over seeds (t)."
        ),
    )


def octaves(positions: pd.DataFrame) -> pd.Series:
    """Mean nats from one doubling of the context to the next: 1, 2, 3 to 4, 5 to 8, ... positions.

    `positions` has a row for each `position` (1, 2, ...), with the mean `nats` of `count` tokens.
    The index is the last position of each stretch; the last stretch ends with the context, so that
    the one before ends at half of it, and so on.
    """
    end, ends = int(positions["position"].max()), []
    while end:
        ends.append(end)
        end //= 2
    ends.reverse()
    stretch = np.searchsorted(ends, positions["position"])
    total = (positions["nats"] * positions["count"]).groupby(stretch).sum()
    means = total / positions["count"].groupby(stretch).sum()
    return means.set_axis(ends)


def _octaves(results: Results, condition: Condition) -> pd.DataFrame:
    """A row for each seed of a condition, a column for each stretch."""
    found = [
        octaves(results.details[key]["positions"])
        for key in condition.finished["key"]
        if len(results.details.get(key, {}).get("positions", ()))
    ]
    return pd.DataFrame(found)


def _gains(octaves: pd.DataFrame) -> dict[int, np.ndarray]:
    """By the end of each stretch but the first, what it gains over the one before: (seeds,)."""
    return {
        after: (octaves[before] - octaves[after]).to_numpy()
        for before, after in pairwise(octaves.columns)
    }


def _table(name: str, octaves: pd.DataFrame) -> pd.DataFrame:
    gains, rows, start = _gains(octaves), [], 1
    for end in octaves.columns:
        loss = mean_interval(octaves[end].to_numpy())
        gain = mean_interval(gains.get(end, np.empty(0)))
        rows.append(
            {
                "arm": name,
                "positions from": start,
                "to": end,
                "loss, nats/token": loss.value,
                "low": loss.low,
                "high": loss.high,
                "gain of the doubling": gain.value,
                "gain: low": gain.low,
                "gain: high": gain.high,
                "seeds": len(octaves),
            }
        )
        start = end + 1
    return pd.DataFrame(rows)


def _last_gain(name: str, octaves: pd.DataFrame) -> str:
    before, after = octaves.columns[-2:]
    gain = mean_interval(_gains(octaves)[after])
    where = f"positions {before + 1} to {after} over {before // 2 + 1} to {before}"
    if not gain.known:
        return (
            f"With the last doubling of the context {name} gains {_nats(gain.value)} nats/token "
            f"({where}); {count(len(octaves), 'seed')}, so there is no interval."
        )
    shown = "" if gain.leaves_out_zero else ", which leaves open whether there is a gain"
    return (
        f"With the last doubling of the context {name} gains {_nats(gain.value)} nats/token "
        f"({where}; 95% interval over {count(len(octaves), 'seed')} {_nats(gain.low)} to "
        f"{_nats(gain.high)}{shown})."
    )


def _differences(measured: dict[str, pd.DataFrame]) -> list[str]:
    """The last gain of the first arm against that of each other with the same context."""
    (first, octaves), *others = measured.items()
    sentences = []
    for name, other in others:
        if list(other.columns) != list(octaves.columns):
            continue
        end = octaves.columns[-1]
        apart = difference_interval(_gains(octaves)[end], _gains(other)[end])
        if not apart.known:
            continue
        more, less = (first, name) if apart.value > 0 else (name, first)
        apart = apart if apart.value > 0 else -apart
        claim = (
            f"That gain is larger for {more} than for {less}"
            if apart.leaves_out_zero
            else f"No difference in that gain is shown between {more} and {less}"
        )
        sentences.append(
            f"{claim}: {_nats(apart.value)} nats/token apart (95% interval over seeds, Welch's t, "
            f"{_nats(apart.low)} to {_nats(apart.high)})."
        )
    return sentences


def _nats(value: float) -> str:
    return signed(f"{value:.4f}")


def _figure(results: Results, measured: dict[str, pd.DataFrame]) -> Figure:
    figure, [left, right] = panels(2)
    own = styles(measured)
    right.axhline(0, color=MUTED, linewidth=1)
    for name, octaves in measured.items():
        losses = [mean_interval(octaves[end].to_numpy()) for end in octaves.columns]
        draw_line(left, own[name], list(octaves.columns), losses)
        gains: dict[int, Interval] = {
            end: mean_interval(each) for end, each in _gains(octaves).items()
        }
        draw_line(right, own[name], list(gains), list(gains.values()))
    ends = sorted({end for octaves in measured.values() for end in octaves.columns})
    scale_steps(left.xaxis, ends, number)
    scale_steps(right.xaxis, ends[1:], number)
    name_axes(left, "position, tokens of context", "loss on test, nats/token")
    name_axes(right, "context doubled to, tokens", "gain of the doubling, nats/token")
    title = f"{results.study.name} on {results.task}: what context is worth"
    return finish(figure, title, own)
