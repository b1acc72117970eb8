"""A figure laid out in dots, for matrices of cells whose rows and columns have labels.

There are `minitx.drawing.figures.DPI` dots in an inch; x goes to the right and y down. Every cell
is a whole number of dots wide, so that all cells have the same width. matplotlib's own layouts
place axes at fractions of a dot.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from minitx.drawing.figures import (
    DPI,
    INK,
    LINE,
    MUTED,
    TEXT_SIZE,
    TITLE_SIZE,
    Picture,
    extent,
    new_figure,
    text_style,
    wrapped,
)

# Lengths are in dots, font sizes in points.
POINT = DPI / 72
SIDE = 100  # of the sheet until it is cut; drawings may lie outside of it
MARGIN = 16
TITLE_GAP, SCALE_GAP = 26, 30
SCALE_WIDTH, SCALE_HEIGHT = 240, 12


@dataclass(frozen=True)
class Labels:
    """Labels of the cells in a row or a column: one for every `step` cells, so that they have room.

    A cell takes `unit` dots. `texts` and their `widths` belong to the cells 0, `step`, 2 `step`,
    ...; the last half step has no label, so that the labels of the next map have room.
    """

    texts: tuple[str, ...]
    widths: tuple[float, ...]
    unit: float
    step: int
    size: float

    @property
    def width(self) -> int:
        """The width of the labels next to a column of cells."""
        return ceil(max(self.widths))

    @property
    def height(self) -> int:
        """The height of the labels above a row of cells."""
        turned = [width for width, turn in zip(self.widths, self.turned, strict=True) if turn]
        return ceil(max([line_height(self.size), *turned]))

    @property
    def turned(self) -> tuple[bool, ...]:
        """Which labels are rotated above a row: the wide ones if they are few, else all."""
        wide = tuple(width > 0.95 * self.step * self.unit for width in self.widths)
        return wide if 4 * sum(wide) <= len(wide) else (True,) * len(wide)

    def places(self) -> list[float]:
        """Return the distance of the middle of each label's cell from the first cell."""
        return [(self.step * number + 0.5) * self.unit for number in range(len(self.texts))]


class Scale(NamedTuple):
    """A colour scale: the colour of a cell is `colours` of `norm` of its value."""

    norm: Normalize
    colours: Colormap
    ticks: Sequence[float]
    caption: str = ""


class Sheet:
    """A drawing without edges, which is cut to its contents when it is finished."""

    def __init__(self) -> None:
        self.figure = new_figure(SIDE / DPI, SIDE / DPI)
        self.figure.suppressComposite = True  # else an SVG has one coarse image
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self._show(Bbox([[0, 0], [SIDE, SIDE]]))

    def measure(self, texts: Iterable[str], size: float) -> tuple[int, int]:
        """Return the width and height that hold any of the texts."""
        width, height = extent(self.axes, texts, size) * DPI
        return ceil(width), ceil(height)

    def labels(self, texts: Sequence[str], unit: float, size: float) -> Labels:
        """Return labels of cells of `unit` dots, in type of a size."""
        step = ceil(line_height(size) / unit)
        shown = tuple(texts[: max(1, len(texts) - step // 2) : step])
        widths = {text: float(extent(self.axes, [text], size)[0] * DPI) for text in set(shown)}
        return Labels(shown, tuple(widths[text] for text in shown), unit, step, size)

    def write(
        self, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any
    ) -> None:
        """Write a text at a place, aligned by `ha` and `va` in `how`, unless it is empty."""
        if text:
            self.axes.text(x, y, text, size=size, **how, **text_style(colour))

    def write_left(self, labels: Labels, x: float, y: float) -> None:
        """Write labels below each other that end at x; the cells begin at y."""
        for text, place in zip(labels.texts, labels.places(), strict=True):
            self.write(x, y + place, text, labels.size, ha="right", va="center")

    def write_on_top(self, labels: Labels, x: float, y: float) -> None:
        """Write labels in a row that ends at y; the cells begin at x."""
        for text, place, turn in zip(labels.texts, labels.places(), labels.turned, strict=True):
            how = {"rotation": 90, "va": "bottom"} if turn else {"va": "baseline"}
            self.write(x + place, y, text, labels.size, ha="center", **how)

    def cells(
        self, values: np.ndarray, place: tuple[int, int], cell: tuple[int, int], scale: Scale
    ) -> None:
        """Draw values (rows, columns) as framed cells of (width, height), from a place on."""
        x, y = place
        width, height = (size * count for size, count in zip(cell, values.shape[::-1], strict=True))
        # The frame is a rectangle below the cells: a line could hide the dots at the edge.
        frame = Rectangle((x - 1, y - 1), width + 2, height + 2, zorder=-1)
        frame.set(facecolor=LINE, edgecolor="none")
        self.axes.add_patch(frame)
        self.axes.imshow(
            values,
            scale.colours,
            scale.norm,
            aspect="auto",
            extent=(x, x + width, y + height, y),
            interpolation="none",
            origin="upper",
        )

    def finish(self, title: str, scales: Iterable[Scale]) -> Picture:
        """Add the title above and colour scales below, and cut the sheet to its contents."""
        left, top, _, _ = self._contents().extents
        x = ceil(left)
        for scale in scales:
            self._write_scale(scale, x, ceil(self._contents().y1) + SCALE_GAP)
        lines = wrapped(title, max(self._contents().width / DPI, 4))
        self.write(x, top - TITLE_GAP, lines, TITLE_SIZE, va="bottom")

        held = self._contents().padded(MARGIN)
        cut = Bbox([[floor(held.x0), floor(held.y0)], [ceil(held.x1), ceil(held.y1)]])
        self.figure.set_size_inches(cut.width / DPI, cut.height / DPI)
        self._show(cut)
        return self.figure

    def _write_scale(self, scale: Scale, x: int, y: int) -> None:
        colours = np.asarray(scale.norm.inverse(np.linspace(0, 1, SCALE_WIDTH)))[np.newaxis]
        self.cells(colours, (x, y), (1, SCALE_HEIGHT), scale)
        ends = {scale.ticks[0]: "left", scale.ticks[-1]: "right"}
        places = x + SCALE_WIDTH * scale.norm(np.array(scale.ticks))
        for tick, place in zip(scale.ticks, places, strict=True):
            text = f"{tick:.3g}".replace("-", "\N{MINUS SIGN}")
            within = ends.get(tick, "center")
            self.write(place, y + 18, text, TEXT_SIZE - 2, MUTED, ha=within, va="top")
        middle = y + SCALE_HEIGHT / 2
        self.write(x + SCALE_WIDTH + 16, middle, scale.caption, TEXT_SIZE - 1, MUTED, va="center")

    def _contents(self) -> Bbox:
        """Return the box around everything that is drawn."""
        drawn = [*self.axes.texts, *self.axes.images]
        box = Bbox.union([each.get_window_extent() for each in drawn])
        return Bbox([[box.x0, SIDE - box.y1], [box.x1, SIDE - box.y0]])

    def _show(self, part: Bbox) -> None:
        self.axes.set(xlim=(part.x0, part.x1), ylim=(part.y1, part.y0))


def line_height(size: float) -> float:
    """Return the height in dots of a line in type of a size."""
    return 1.2 * size * POINT
