"""Figures as part of a page: they follow its colours, and marks tell their values on hover.

A figure in a page has no style of its own, because the page's policy forbids style attributes.
"""

import re
from collections.abc import Iterator
from itertools import chain
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, PercentFormatter

from minitx.drawing.figures import INK, LINE, MUTED, PAPER
from minitx.study.report.style import intervals_of

# What the page calls the colours of figures. matplotlib writes colours as #rrggbb.
COLOURS = {
    to_hex(INK): "currentColor",
    to_hex(PAPER): "var(--paper)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
}
# What matplotlib sets in a style element for the whole figure.
WHOLE = {"fill": "currentColor", "stroke-linejoin": "round", "stroke-linecap": "butt"}

Titles = dict[str, list[str]]  # of the marks of a line, by its id


def name_marks(figure: Figure) -> Titles:
    """Give each line of the figure an id, and return what its marks say on hover."""
    titles: Titles = {}
    for number, (axes, line) in enumerate(_lines(figure)):
        line.set_gid(f"line-{number}")
        titles[f"line-{number}"] = _titles(axes, line)
    return titles


def inline(svg: str, name: str, title: str, titles: Titles) -> str:
    """Return the SVG of a figure, as matplotlib writes it, as part of a page.

    `name` distinguishes its ids from those of other figures. `title` is read aloud.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for dropped in [each for each in element if _local(each.tag) in ("style", "metadata")]:
            element.remove(dropped)
        element.tag = _local(element.tag)
        element.attrib = dict(_attributes(element, name))
    for group in root.iter("g"):
        spoken = titles.get(group.get("id", "").removeprefix(f"{name}-"), [])
        marks = [*group.iter("use")] or [*group.iter("path")]
        if len(spoken) == len(marks):
            for mark, words in zip(marks, spoken, strict=True):
                ElementTree.SubElement(mark, "title").text = words
    box = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": title}
    root.attrib = box | WHOLE
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """Return a name without its namespace, which a page does not need."""
    return name.rpartition("}")[2]


def _attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    styles = re.findall(r"([\w-]+)\s*:\s*([^;]+)", element.get("style", ""))
    for key, value in chain(element.attrib.items(), styles):
        key = _local(key)
        if key == "id":
            yield key, f"{name}-{value}"
        elif key == "href":
            yield key, value.replace("#", f"#{name}-")
        elif key != "style":
            yield key, COLOURS.get(value.strip(), value.strip()).replace("url(#", f"url(#{name}-")


def _lines(figure: Figure) -> Iterator[tuple[Axes, Line2D]]:
    for axes in figure.axes:
        for line in axes.lines:
            yield axes, line


def _titles(axes: Axes, line: Line2D) -> list[str]:
    """Return the words for each mark of a line, or for the whole line if it has no marks."""
    label = str(line.get_label())
    name = "" if label.startswith("_child") else label
    if line.get_marker() in ("None", "none", "", " ", None):
        return [name] if name else []
    across, up = axes.get_xlabel(), axes.get_title(loc="left")
    points = np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
    spoken = []
    for number, (x, y) in enumerate(points):
        if np.isfinite((x, y)).all():
            ends = intervals_of(line, number)
            values = {across: _spell(axes.xaxis, x), up: _spell(axes.yaxis, y)}
            for axis, (low, high) in ends.items():
                label, scale = (across, axes.xaxis) if axis == "x" else (up, axes.yaxis)
                values[label] += f" ({_spell(scale, low)} to {_spell(scale, high)})"
            parts = [name, *(": ".join(filter(None, pair)) for pair in values.items())]
            spoken.append("; ".join(filter(None, parts)))
    return spoken


def _spell(axis: Axis, value: float) -> str:
    """Return the text of the tick that a value is at, or format it with four digits."""
    if isinstance(axis.get_major_locator(), FixedLocator):
        places = np.asarray(axis.get_majorticklocs())
        nearest = int(np.abs(places - value).argmin())
        steps = np.diff(np.sort(places))
        if abs(places[nearest] - value) < 0.45 * (steps.min() if len(steps) else 1):
            return " ".join(axis.get_ticklabels()[nearest].get_text().split())
    if isinstance(axis.get_major_formatter(), PercentFormatter):
        return f"{value:.1%}"
    return f"{value:,.4g}"
