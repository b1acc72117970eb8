"""Show what a recurrence gains if its state is carried over from the text before a window."""

import pandas as pd
from matplotlib.figure import Figure

from minitx.drawing.figures import MUTED
from minitx.drawing.formatting import listed
from minitx.study.report.gains import change, nats, shown_gains
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.octaves import octaves
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval


def section(results: Results) -> Section | None:
    gains = {condition.name: _gains(results, condition) for condition in conditions_of(results)}
    gains = {name: found for name, found in gains.items() if len(found.columns) > 1}
    if not gains:
        return None
    return Section(
        name="carried",
        title="What carrying the state over from earlier text gains",
        finding=_finding(gains),
        table=pd.concat([_table(name, found) for name, found in gains.items()], ignore_index=True),
        figure=_figure(results, gains),
        sentences=[_effect(name, found) for name, found in gains.items()],
        answers=len(gains),
        note=(
            "On test, in nats/token: by how much the loss is lower if a window does not begin with "
            "an empty state but with the state after the window before it. Both losses are of the "
            "same windows. In training, every window begins with an empty state. Points: means of "
            "the positions between two doublings; bands: 95% intervals over seeds (Student's t)."
        ),
    )


def _gains(results: Results, condition: Condition) -> pd.DataFrame:
    """Return a row for each seed, and a column for each octave of positions."""
    tables = condition.details(results, "carried")
    return pd.DataFrame(
        octaves(
            pd.DataFrame(
                {
                    "position": table["position"],
                    "nats": table["nats"] - table["nats carried"],
                    "count": 1,
                }
            )
        )
        for table in tables
    )


def _table(name: str, gains: pd.DataFrame) -> pd.DataFrame:
    starts = [1, *(end + 1 for end in gains.columns)]
    return pd.DataFrame(
        {
            "arm": name,
            "positions from": start,
            "to": end,
            **mean_interval(gains[end].to_numpy()).columns("gain, nats/token"),
            "seeds": len(gains),
        }
        for start, end in zip(starts, gains.columns, strict=False)
    )


def _finding(gains: dict[str, pd.DataFrame]) -> str:
    """Name the mean gains in the first octave, in which an empty state lacks most."""
    means = [f"{nats(found.iloc[:, 0].mean())} for {name}" for name, found in gains.items()]
    return f"{listed(means)} at position 1 (nats/token)"


def _effect(name: str, gains: pd.DataFrame) -> str:
    """Describe up to which octave the state from before the window lowers the loss."""
    found = {end: mean_interval(gains[end].to_numpy()) for end in gains.columns}
    lower = shown_gains(found)
    what = "a state carried over from before the window"
    if not lower or len(lower) == len(found):
        return f"At {_positions(gains, -1)}, {what} {_size(name, gains, -1)}."
    last = len(lower) - 1
    first = f", by {nats(found[1].value)} nats/token at position 1" if last else ""
    return (
        f"Up to position {lower[-1]:,}, {what} lowers the loss of {name}{first}. At "
        f"{_positions(gains, last)}, it {_size(name, gains, last)}. At "
        f"{_positions(gains, last + 1)}, no effect is shown."
    )


def _positions(gains: pd.DataFrame, octave: int) -> str:
    ends = [0, *gains.columns]
    end = gains.columns[octave]
    start = ends[ends.index(end) - 1] + 1
    return f"position {end:,}" if start == end else f"positions {start:,} to {end:,}"


def _size(name: str, gains: pd.DataFrame, octave: int) -> str:
    """Return by how much the state changes the loss in an octave, with its interval."""
    gain = mean_interval(gains.iloc[:, octave].to_numpy())
    return change(gain, len(gains), f"the loss of {name}")


def _figure(results: Results, gains: dict[str, pd.DataFrame]) -> Figure:
    figure, [axes] = panels()
    own = styles(gains)
    axes.axhline(0, color=MUTED, linewidth=1)
    for name, found in gains.items():
        means = [mean_interval(found[end].to_numpy()) for end in found.columns]
        draw_line(axes, own[name], found.columns, means)
    scale_steps(axes.xaxis, {end for found in gains.values() for end in found.columns})
    name_axes(axes, "position, tokens of context", "gain of the carried state, nats/token")
    return finish(figure, f"{results.title}: what a carried state gains", own)
