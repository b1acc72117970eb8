"""The style of a study's figures: an arm has the same colour, marker and line in all of them.

If a grid has several points, an arm keeps its colour and each point gets a marker and a line.

The colours are those of Okabe and Ito 2008, "Color Universal Design", which remain distinct with
any kind of colour blindness. Yellow is left out, because it is hard to see on white. Markers and
line styles distinguish the arms without colour.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    EngFormatter,
    LogLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

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
from minitx.drawing.formatting import number
from minitx.metrics.bootstrap import Interval
from minitx.metrics.decomposable import Measure
from minitx.study.results.conditions import Condition

BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, BLACK = "#e69f00", "#56b4e9", "#000000"

# Inches.
WIDTH = 5.0  # of every figure: a column of text, and readable on a phone
PANEL_HEIGHT = 2.7
BELOW, ABOVE, ROW = 0.6, 0.5, 0.24  # below a panel, above all panels, a row of the legend
KEY, LETTER = 0.75, 0.08  # a line in the legend with its gaps, and a letter
BAND = 0.16  # opacity of an interval behind its line


@dataclass(frozen=True)
class Style:
    """The style of an arm. `line` is a matplotlib line style."""

    colour: str
    marker: str
    line: Any

    @property
    def drawing(self) -> dict[str, Any]:
        """The arguments of `Axes.plot` and `Line2D`."""
        return {
            "color": self.colour,
            "linestyle": self.line,
            "linewidth": 1.8,
            "marker": self.marker,
            "markersize": 6,
            "markeredgecolor": PAPER,
            "markeredgewidth": 0.5,
        }


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

# "transformer" and "attention" are the same model in different studies, never in one figure.
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
    """Return a style for each name: the one in KNOWN, else the next unused one.

    If there are more names than styles, colours repeat with other markers and lines.
    """
    names = list(dict.fromkeys(names))
    found: dict[str, Style] = {}
    for name in names:
        style = KNOWN.get(name)
        if style is not None and style not in found.values():
            found[name] = style
    unused = [style for style in ALL if style not in found.values()]
    shifted = [*ALL[3:], *ALL[:3]]
    more = [
        Style(style.colour, marker, other.line)
        for style, marker, other in zip(ALL, "<>pdh*1", shifted, strict=True)
    ]
    others = cycle([*unused, *more])
    return {name: found.get(name) or next(others) for name in names}


def styles_of(conditions: Sequence[Condition]) -> dict[str, Style]:
    """Return a style for each condition's name: the arm's colour, the point's marker and line.

    If there is only one arm, colours distinguish its points.
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
    count: int = 1, *, columns: int = 1, height: float = PANEL_HEIGHT
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, each about `height` inches high, one below the other.

    With several columns, they fill the rows from left to right.
    """
    rows = -(-count // columns)
    figure = new_figure(WIDTH, rows * (height + BELOW) + ABOVE)
    figure.set_layout_engine("constrained", wspace=0.05, hspace=0.05)
    made = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in made[count:]:
        unused.remove()
    del made[count:]
    for axes in made:
        axes.set_facecolor("none")
        axes.set_axisbelow(True)
        axes.grid(True, color=LINE, linewidth=0.6, alpha=0.7, linestyle="-")
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=MUTED, linewidth=0.8)
        axes.tick_params(colors=MUTED, labelsize=TEXT_SIZE - 1, width=0.8, length=3, which="major")
        axes.tick_params(which="minor", length=0)
    return figure, made


def draw_line(
    axes: Axes,
    style: Style,
    across: Iterable[float],
    values: Iterable[Interval | float],
    **changes: Any,
) -> None:
    """Draw a line through the values, and a band over their intervals if these are known."""
    across = list(across)
    intervals = [each if isinstance(each, Interval) else Interval(each) for each in values]
    if any(each.known for each in intervals):
        ends = np.array([(each.low, each.high) for each in intervals]).T
        axes.fill_between(across, *ends, color=style.colour, alpha=BAND, linewidth=0)
    [line] = axes.plot(across, [each.value for each in intervals], **(style.drawing | changes))
    _intervals[line] = {"y": intervals}


def draw_point(axes: Axes, style: Style, x: float, y: float, **errors: Interval) -> None:
    """Draw a marker at (x, y) and a bar over an interval, which is `xerr` or `yerr`."""
    bars: dict[str, Any] = {
        name: [[each.value - each.low], [each.high - each.value]] for name, each in errors.items()
    }
    look = style.drawing | {"linestyle": "", "markersize": 8}
    line = axes.errorbar(x, y, elinewidth=2, **look, **bars).lines[0]
    _intervals[line] = {name[0]: [each] for name, each in errors.items()}


# Of the marks of a line, in the direction of x or y.
_intervals: WeakKeyDictionary[Line2D, dict[str, list[Interval]]] = WeakKeyDictionary()


def intervals_of(line: Line2D, number: int) -> dict[str, tuple[float, float]]:
    """Return the known intervals of a mark, in the direction of "x" or "y"."""
    marks = {axis: each[number] for axis, each in _intervals.get(line, {}).items()}
    return {axis: (mark.low, mark.high) for axis, mark in marks.items() if mark.known}


def name_axes(axes: Axes, across: str, up: str) -> None:
    """Label both axes. The label of the vertical axis is horizontal text above the panel."""
    axes.set_xlabel(drawable(across), size=TEXT_SIZE, labelpad=6, **text_style())
    axes.set_title(drawable(up), size=TEXT_SIZE, loc="left", pad=8, **text_style())


def finish(figure: Figure, title: str, own: Mapping[str, Style] | None = None) -> Figure:
    """Add the title above the panels and, if there are several styles, a legend below them.

    Lines get the names of their styles as labels.
    """
    width, height = figure.get_size_inches()
    for line in (line for axes in figure.axes for line in axes.lines):
        alike = [name for name, style in (own or {}).items() if style.colour == line.get_color()]
        if len(alike) > 1:
            alike = [name for name in alike if own and own[name].marker == line.get_marker()]
        if len(alike) == 1:
            line.set_label(alike[0])
    figure.suptitle(
        wrapped(title, max(width, 4.5)), x=0.01, ha="left", size=TITLE_SIZE, **text_style()
    )
    if own and len(own) > 1:
        columns = max(1, int(width / (KEY + LETTER * max(map(len, own)))))
        legend = figure.legend(
            # The names follow, because a label that begins with _ is left out.
            handles=[Line2D([], [], label="arm", **style.drawing) for style in own.values()],
            loc="outside lower left",
            ncols=min(columns, len(own)),
            frameon=False,
            handlelength=2.8,
            columnspacing=1.6,
            prop={"size": TEXT_SIZE - 0.5, "family": text_style()["family"]},
        )
        for text, name in zip(legend.get_texts(), own, strict=True):
            text.set(text=drawable(name), color=INK, parse_math=False)
        figure.set_figheight(height + ROW * -(-len(own) // columns))
    return figure


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a panel, which are at 0, 1, ... from the top."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    labels = list(map(drawable, names))
    axes.set_yticks(range(len(names)), labels, size=TEXT_SIZE, **text_style())
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def ticks_at_1_2_5(axis: Any) -> None:
    """Put ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    plain_numbers(axis)


def percent_axis(axis: Any) -> None:
    """Format an axis from 0 to 1 as percent."""
    axis.set_major_formatter(PercentFormatter(1, is_latex=True))  # with usetex it escapes the sign


def scale_values(axis: Any, measure: Measure) -> None:
    """Format the axis of a measure."""
    if measure.is_fraction:
        percent_axis(axis)


def scale_steps(axis: Any, values: Iterable[float], spell: Callable[[float], str] = number) -> None:
    """Put ticks at the values, and use a logarithmic scale if these span a factor of three.

    `axis` is axes.xaxis or axes.yaxis.
    """
    values = sorted(set(values))
    if min(values) > 0 and max(values) > 3 * min(values):
        axis._set_axes_scale("log")
    axis.set_ticks(values, [spell(value) for value in values])
    axis.set_ticks([], minor=True)


def plain_numbers(axis: Any) -> None:
    """Format large numbers as 20k and 1.5M and others in full, without powers of ten."""
    large = axis.get_view_interval()[1] >= 10_000
    axis.set_major_formatter(
        EngFormatter(sep="", usetex=False, useMathText=False)
        if large
        else StrMethodFormatter("{x:,.4g}")
    )
