"""Draw figures with matplotlib: their style, their files, and the confusion matrix.

Only matplotlib's objects are used, never pyplot. Nothing global is set, no window is opened, and
several threads may draw figures at once. The style is passed to each part of a figure from the
constants below, so that a dark style or TeX in the user's matplotlibrc has no effect.
"""

import io
import textwrap
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import ceil
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.image import AxesImage

from minitx.drawing.formatting import whole_percent
from minitx.terminal.text import printable

# The style of every figure. Lengths are in inches, font sizes in points.
DPI, PADDING = 150, 0.16  # 24 dots, a whole number, so that no dot of a figure is shifted
TITLE_SIZE, TEXT_SIZE, SMALLEST_SIZE = 12.0, 10.0, 6.0
INK, PAPER, MUTED, LINE, NO_DATA = "black", "white", "#595959", "#d0d0d0", "#ececec"
SHARES = "Blues"  # light to dark, safe with all kinds of colour blindness (ColorBrewer)
# matplotlib includes the first of these. The others, if installed, have the characters it lacks.
FONTS = (
    "DejaVu Sans",
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Zen Hei", "Arial Unicode MS"),
)
LONGEST_NAME = 24  # characters

# The layout of a matrix.
WIDEST_CELL, NARROWEST_CELL, SIDE, LONGEST_SIDE = 1.0, 0.22, 6.5, 22.0
MOST_NUMBERED = 20  # classes; with more, the numbers in the cells are unreadable


def draw_confusion(counts: np.ndarray, labels: Sequence[str], title: str) -> bytes:
    """Return the figure of `confusion_matrix` as a PNG. Raises ValueError as `confusion_matrix`."""
    return png(confusion_matrix(counts, labels, title))


def confusion_matrix(counts: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """Return a figure of the confusion matrix: true classes down, predicted classes across.

    `counts` is (classes, classes), integers: counts[i, j] examples of class i predicted as class j.
    A cell's colour is its share of the row, from 0 to 1, so that rare classes are readable. The
    cell shows the count and the share if they fit. Recall is at the right, precision below. A class
    without examples has no shares and no recall, and its row is grey. Long names are shortened.

    Raises ValueError if there are no labels, or if `counts` does not have a row and a column for
    each label.
    """
    classes = len(labels)
    if classes == 0 or counts.shape != (classes, classes):
        raise ValueError(f"counts {counts.shape} do not fit {classes} labels")
    names = [drawable(shortened(label)) for label in labels]
    # As wide as is pleasant, then as narrow as a line of text, then as narrow as it must be.
    cell = min(max(SIDE / classes, NARROWEST_CELL), WIDEST_CELL, LONGEST_SIDE / classes)
    side = cell * classes
    size = min(max(36 * cell, SMALLEST_SIZE), TEXT_SIZE)  # half the height of a row

    figure = new_figure(side, side)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_frame_on(False)
    axes.grid(False)
    shares = row_shares(counts)
    colours = matplotlib.colormaps[SHARES].with_extremes(bad=NO_DATA)
    image = axes.imshow(
        shares,
        colours,
        vmin=0,
        vmax=1,
        aspect="equal",
        interpolation="nearest",
        origin="upper",
    )
    edges = np.arange(classes + 1) - 0.5
    for draw in (axes.hlines, axes.vlines):
        draw(edges, -0.5, classes - 0.5, LINE, linewidth=min(cell, 0.8), clip_on=False)

    if classes <= MOST_NUMBERED:
        _write_cells(axes, counts, shares, image.to_rgba(shares), cell)
    step = ceil(1.2 * size / (72 * cell))  # one class in `step` has room for its name
    named = range(0, classes, step)
    _name_classes(axes, counts, names, named, size, cell)
    _write_margins(axes, counts, named, size, cell)
    axes.set_title(wrapped(title, side + 1.5), loc="left", pad=12, size=TITLE_SIZE, **text_style())

    _add_scale(figure, image, side)
    return figure


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Return each count as a share of its row, 0 to 1, float64; NaN in rows without examples."""
    return _ratios(counts, counts.sum(axis=1, keepdims=True))


class Picture(Figure):
    """A figure that a notebook shows automatically, like pyplot's figures."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG, cropped to its contents. Equal figures give equal bytes."""
    return _saved(figure, "png")


def svg(figure: Figure) -> str:
    """Return the figure as SVG. Text is drawn as shapes, so that it does not depend on fonts."""
    fixed: Any = {"svg.hashsalt": "minitx", "svg.fonttype": "path", "svg.image_inline": True}
    with _svg_settings, matplotlib.rc_context(fixed):
        return _saved(figure, "svg", metadata={"Date": None}).decode()


_svg_settings = threading.Lock()  # the SVG backend takes its settings from matplotlib's global ones


def _saved(figure: Figure, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(
        file,
        format=kind,
        dpi=DPI,
        facecolor=PAPER,
        bbox_inches="tight",
        pad_inches=PADDING,
        **how,
    )
    return file.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """Return a figure that draws to memory. `png` adds room for what lies outside of its size."""
    figure = Picture((width, height), dpi=DPI, facecolor=PAPER)
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def text_style(colour: str = INK) -> dict[str, Any]:
    """Return the style of all text. It is drawn verbatim, including $ and backslashes."""
    return {"color": colour, "family": _fonts(), "parse_math": False, "usetex": False}


@cache
def _fonts() -> list[str]:
    installed = set(fontManager.get_font_names())
    return [name for name in FONTS if name in installed]


def drawable(text: str, stand_in: Callable[[str], str] = lambda character: "□") -> str:
    """Return the text in one line, with stand-ins for the characters that no installed font has.

    matplotlib draws boxes automatically, but with a warning for each character. Characters that
    change the direction of others get stand-ins as well, although fonts have them.
    """
    fonts = [get_font(findfont(name)) for name in _fonts()]

    def drawn(character: str) -> bool:
        known = any(font.get_char_index(ord(character)) for font in fonts)
        return known and printable(character) == character

    return "".join(c if drawn(c) else stand_in(c) for c in " ".join(text.split()))


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def wrapped(title: str, width: float) -> str:
    """Break a title into lines about `width` inches long."""
    characters = int(width / 0.09)
    return textwrap.fill(
        drawable(title), characters, break_on_hyphens=False, break_long_words=False
    )


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Return parts / wholes, and NaN if the whole is zero."""
    return parts / np.where(wholes == 0, np.nan, wholes)


def extent(axes: Axes, texts: Iterable[str], size: float) -> np.ndarray:
    """Return the width and height in inches that fit each of the texts."""
    boxes = []
    for text in texts:
        probe = axes.text(0, 0, text, size=size, **text_style())
        box = probe.get_window_extent()
        boxes.append((box.width, box.height))
        probe.remove()
    return np.max(boxes, axis=0) / DPI


def _write_cells(
    axes: Axes, counts: np.ndarray, shares: np.ndarray, colours: np.ndarray, cell: float
) -> None:
    """Write counts with shares, or only counts, or nothing, depending on what fits the cells."""
    numbers = [f"{count:,}" for count in counts.flat]
    both = [
        f"{number}\n{whole_percent(share)}" if count else number
        for number, count, share in zip(numbers, counts.flat, shares.flat, strict=True)
    ]
    for texts in (both, numbers):
        room = 0.85 * cell / extent(axes, set(texts), TEXT_SIZE).max()
        size = TEXT_SIZE * min(1, room)
        if size >= SMALLEST_SIZE:
            break
    else:
        return
    for (row, column), text in zip(np.ndindex(counts.shape), texts, strict=True):
        # Zeros are muted, so that the mistakes are easy to see.
        ink = readable(colours[row, column]) if counts[row, column] else MUTED
        axes.text(column, row, text, ha="center", va="center", size=size, **text_style(ink))


def readable(colour: np.ndarray) -> str:
    """Return INK or PAPER, whichever contrasts more with a colour (r, g, b, ...), each 0 to 1.

    Relative luminance as in WCAG 2.1. INK is better if (l + 0.05)^2 > 0.05 * 1.05.
    """
    red, green, blue = np.where(
        colour[:3] <= 0.04045, colour[:3] / 12.92, ((colour[:3] + 0.055) / 1.055) ** 2.4
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return INK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else PAPER


def _name_classes(
    axes: Axes,
    counts: np.ndarray,
    names: list[str],
    named: Sequence[int],
    size: float,
    cell: float,
) -> None:
    """Write the names with the numbers of examples at the left, and the names at the top."""
    across = [names[index] for index in named]
    down = [f"{names[index]} ({counts[index].sum():,})" for index in named]
    axes.set_xticks(named, across, size=size, **text_style())
    axes.set_yticks(named, down, size=size, **text_style())
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    if extent(axes, across, size)[0] > 0.95 * cell:
        for label in axes.get_xticklabels():
            label.set(rotation=45, rotation_mode="anchor", ha="left", va="center")
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("predicted class", size=TEXT_SIZE, labelpad=8, **text_style(MUTED))
    axes.set_ylabel("true class", size=TEXT_SIZE, labelpad=8, **text_style(MUTED))


def _write_margins(
    axes: Axes, counts: np.ndarray, named: Sequence[int], size: float, cell: float
) -> None:
    """Write recall to the right of the rows, and precision below the columns."""
    right = counts.diagonal()
    recalls = [whole_percent(share) for share in _ratios(right, counts.sum(axis=1))]
    precisions = [whole_percent(share) for share in _ratios(right, counts.sum(axis=0))]
    turned = 90 if extent(axes, precisions, size)[0] > 0.85 * cell else 0
    end = len(counts) - 0.5

    def write(text: str, at: tuple[float, float], offset: tuple[float, float], **how: Any) -> None:
        axes.annotate(
            text, at, offset, textcoords="offset points", size=size, **how, **text_style(MUTED)
        )

    for index in named:
        write(recalls[index], (end, index), (6, 0), va="center_baseline")
        write(precisions[index], (index, end), (0, -6), ha="center", va="top", rotation=turned)
    write("recall", (end, -0.5), (6, 3.5), va="bottom")
    write("precision", (-0.5, end), (-4, -6), ha="right", va="top")


def _add_scale(figure: Figure, image: AxesImage, side: float) -> None:
    """Add the colour scale to the right of the recalls, level with the first rows."""
    height = min(side, 3.0)
    # (left, bottom, width, height) as shares of the figure, which contains only the matrix.
    bar = figure.add_axes((1 + 0.75 / side, 1 - height / side, 0.12 / side, height / side))
    ticks = [0, 0.25, 0.5, 0.75, 1]
    scale = figure.colorbar(image, bar)
    scale.outline.set_visible(False)
    bar.grid(False)
    labels = [whole_percent(tick) for tick in ticks]
    bar.set_yticks(ticks, labels, size=TEXT_SIZE - 1, **text_style(MUTED))
    bar.tick_params(length=0)
    bar.set_ylabel("share of the true class", size=TEXT_SIZE - 1, **text_style(MUTED))
