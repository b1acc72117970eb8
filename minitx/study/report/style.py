"""The look of a study's figures: a colour, a marker and a line for each arm, the same everywhere.

At several points of a grid an arm keeps its colour, and each point has a marker and a line.

Colours are those of Okabe and Ito 2008, "Color Universal Design", which are told apart with any
kind of colour blindness; but for yellow, which cannot be seen on white. Markers and lines tell the
arms apart where there is no colour at all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from minitx.drawing.figures import (
    INK,
    LINE,
    MUTED,
    PAPER,
    TEXT_SIZE,
    TITLE_SIZE,
    drawable,
    new_figure,
    text_style,
    wrapped,
)
from minitx.metrics.decomposable import Measure
from minitx.study.formatting import SHARES, number
from minitx.study.results.conditions import Condition
from minitx.study.statistics.intervals import Interval

BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, BLACK = "#e69f00", "#56b4e9", "#000000"

# In inches: a panel, and what lies between two of them, for the numbers and the name of an axis.
PANEL_WIDTH, PANEL_HEIGHT, BETWEEN = 4.6, 3.3, 0.85
NAME, LEGEND_GAP, TITLE_GAP, ROW = 0.42, 0.12, 0.14, 0.22  # above the panels
KEY, LETTER = 0.75, 0.075  # of a legend: a line with its gaps, and a letter
BAND = 0.16  # how opaque an interval is behind its line


@dataclass(frozen=True)
class Style:
    """How an arm is drawn: `line` is a matplotlib line style."""

    colour: str
    marker: str
    line: Any


SOLID, DASHED, DOTTED, DASH_DOT = "-", (0, (5, 1.8)), (0, (1.2, 1.4)), (0, (5, 1.5, 1.2, 1.5))
LONG, DOUBLE, SPARSE = (0, (9, 2)), (0, (5, 1.5, 1.2, 1.5, 1.2, 1.5)), (0, (3, 3))

ALL = (
    Style(BLUE, "o", SOLID),
    Style(VERMILLION, "s", DASHED),
    Style(GREEN, "^", DASH_DOT),
    Style(PURPLE, "D", DOTTED),
    Style(ORANGE, "v", LONG),
    Style(SKY, "P", DOUBLE),
    Style(BLACK, "X", SPARSE),
)

# Attention is what a Transformer mixes with: they never stand in one figure.
KNOWN = {
    **dict.fromkeys(("transformer", "attention"), ALL[0]),
    **dict.fromkeys(("lstm", "lstm_none"), ALL[1]),
    **dict.fromkeys(("gru", "gru_none"), ALL[2]),
    **dict.fromkeys(("rnn", "rnn_none"), ALL[3]),
    **dict.fromkeys(("lstm_additive", "gru_additive", "rnn_additive", "average"), ALL[4]),
    **dict.fromkeys(("lstm_dot", "gru_dot", "rnn_dot"), ALL[5]),
    **dict.fromkeys(("none",), ALL[6]),
}


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each name: its own where it has one, else one of those that are left, in turn.

    Names beyond the number of styles get colours for a second time, with other markers.
    """
    names = list(dict.fromkeys(names))
    found: dict[str, Style] = {}
    for name in names:
        style = KNOWN.get(name)
        if style is not None and style not in found.values():
            found[name] = style
    left = [style for style in ALL if style not in found.values()]
    more = [
        Style(style.colour, marker, style.line)
        for style, marker in zip(ALL, cycle("<>pdh*1"), strict=False)
    ]
    others = cycle([*left, *more])
    return {name: found.get(name) or next(others) for name in names}


def styles_of(conditions: Sequence[Condition]) -> dict[str, Style]:
    """A style for each condition, by its name: its arm's colour, its point's marker and line.

    Where there is one arm alone, its conditions are told apart by their colours.
    """
    arms = styles(condition.arm for condition in conditions)
    if len(arms) == 1:
        return styles(condition.name for condition in conditions)
    points = list(dict.fromkeys(condition.point for condition in conditions))
    if len(points) == 1:
        return {condition.name: arms[condition.arm] for condition in conditions}
    shapes = dict(zip(points, cycle(ALL), strict=False))
    return {
        condition.name: replace(shapes[condition.point], colour=arms[condition.arm].colour)
        for condition in conditions
    }


def panels(
    count: int = 1, *, width: float = PANEL_WIDTH, height: float = PANEL_HEIGHT
) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, each `width` x `height` inches, with a light grid."""
    whole = count * width + (count - 1) * BETWEEN
    figure = new_figure(whole, height)
    made = []
    for place in range(count):
        left = place * (width + BETWEEN) / whole
        axes = figure.add_axes((left, 0, width / whole, 1))
        axes.set_facecolor("none")
        axes.set_axisbelow(True)
        axes.grid(True, color=LINE, linewidth=0.6, alpha=0.7, linestyle="-")
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=MUTED, linewidth=0.8)
        axes.tick_params(colors=MUTED, labelsize=TEXT_SIZE - 1, width=0.8, length=3, which="major")
        axes.tick_params(which="minor", length=0)
        made.append(axes)
    return figure, made


def draw_line(
    axes: Axes,
    style: Style,
    across: Sequence[float],
    values: Sequence[Interval],
    *,
    markersize: float = 6,
) -> None:
    """A line through the values, and behind it a band from end to end of their intervals."""
    axes.fill_between(
        across,
        [each.low for each in values],
        [each.high for each in values],
        color=style.colour,
        alpha=BAND,
        linewidth=0,
    )
    axes.plot(
        across,
        [each.value for each in values],
        color=style.colour,
        linestyle=style.line,
        linewidth=1.8,
        marker=style.marker,
        markersize=markersize,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
    )


def draw_figures(
    axes: Axes, style: Style, across: Sequence[float], values: Sequence[float]
) -> None:
    """A line through figures that have no interval."""
    axes.plot(
        *(across, values),
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        markersize=5.5,
        linewidth=1.6,
    )


def name_axes(axes: Axes, across: str, up: str) -> None:
    """What stands along the axes, with units; `up` lies flat on top, to be read without turning."""
    axes.set_xlabel(drawable(across), size=TEXT_SIZE, labelpad=6, **text_style())
    axes.set_title(drawable(up), size=TEXT_SIZE, loc="left", pad=8, **text_style())


def finish(figure: Figure, title: str, own: Mapping[str, Style] | None = None) -> Figure:
    """Puts the title above all panels, and a legend of names where there are several styles."""
    own = own or {}
    names = list(own)
    width, height = figure.get_size_inches()
    named = any(axes.get_title(loc="left") for axes in figure.axes)
    top = height + (NAME if named else LEGEND_GAP)
    if len(names) > 1:
        handles = [
            Line2D(
                *([], []),
                color=own[name].colour,
                linestyle=own[name].line,
                linewidth=1.8,
                marker=own[name].marker,
                markersize=6,
                label=drawable(name),
            )
            for name in names
        ]
        columns = _columns(names, width)
        legend = figure.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, top / height),
            ncols=columns,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            handlelength=2.8,
            columnspacing=1.6,
            prop={"size": TEXT_SIZE - 0.5, "family": text_style()["family"]},
        )
        for text in legend.get_texts():
            text.set(color=INK, parse_math=False)
        top += ROW * -(-len(names) // columns) + LEGEND_GAP
    figure.text(
        *(0, (top + TITLE_GAP / 2) / height),
        wrapped(title, max(width, 4.5)),
        size=TITLE_SIZE,
        va="bottom",
        **text_style(),
    )
    return figure


def _columns(names: Sequence[str], width: float) -> int:
    """How many columns of a legend fit: each takes what its longest name does."""
    for columns in range(len(names), 1, -1):
        rows = -(-len(names) // columns)
        groups = [names[start : start + rows] for start in range(0, len(names), rows)]
        if sum(KEY + LETTER * max(map(len, group)) for group in groups) <= width:
            return columns
    return 1


def scale_values(axis: Any, measure: Measure) -> None:
    """Percents along an axis of a measure that is a share."""
    if measure.name in SHARES:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))


def scale_steps(axis: Any, values: Sequence[float], spell: Callable[[float], str] = number) -> None:
    """Marks the values that were tried, evenly apart where they grow by factors.

    `axis` is axes.xaxis or axes.yaxis.
    """
    values = sorted(set(values))
    if geometric(values):
        axis._set_axes_scale("log")
    axis.set_major_locator(FixedLocator(values))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: spell(value)))


def geometric(values: Sequence[float]) -> bool:
    """Whether they are read best on a logarithmic scale: above zero, and the largest some times the
    smallest."""
    return min(values) > 0 and max(values) > 3 * min(values)


def plain_numbers(axis: Any) -> None:
    """Thousands as 1.5M and 20k along an axis, without powers of ten at its end."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """ "1.5M", "20k", "300"."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}"
