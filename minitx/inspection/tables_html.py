"""A page of tables for a browser: one file, which makes no request."""

import html
import re

from minitx.drawing.html import render, self_contained, source
from minitx.inspection.tables import GAP, MASKED, Page, grid_of

# A class for every hundredth of a weight: the page's policy allows no style attributes.
SHARES = "".join(f".share-{n} {{ --share: {n / 100}; }}\n" for n in range(101))


def to_html(page: Page) -> str:
    """Return the page as a file of its own; no text in it is read as HTML."""
    style = source("minitx.inspection", "explain.css") + SHARES
    tools = {"grid_of": grid_of, "typeset": _typeset, "blanks": (GAP, MASKED)}
    body = render("minitx.inspection", "explain.html", page=page, **tools)
    return self_contained(page.title, style, body)


def _typeset(formulas: str) -> str:
    """Return formulas as HTML, with their subscripts and superscripts."""
    formulas = re.sub(r"\b([Wb])([qkvo])\b", r"\1<sub>\2</sub>", html.escape(formulas))
    return re.sub(r"\^(\w+)", r"<sup>\1</sup>", formulas)
