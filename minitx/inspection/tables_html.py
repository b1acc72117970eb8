"""A page for a browser: one file, which makes no request.

If the page has a scene, its numbers can be changed, and the browser computes them again
(web/explain/). The tables are shown if there is no scene, or if scripts are switched off.
"""

import html
import re

from minitx.drawing.html import render, self_contained, source
from minitx.inspection.tables import GAP, MASKED, Page, grid_of

# A class for every hundredth of a weight: the page's policy allows no style attributes.
SHARES = "".join(f".share-{n} {{ --share: {n / 100}; }}\n" for n in range(101))

# In the order in which they are in the page: each uses those before it.
SCRIPTS = (
    "elements.js",
    *(
        f"explain/{name}.js"
        for name in (
            *("attend", "measures", "numbers", "words", "number_table", "matrix_input"),
            *("switches", "example", "trained_head", "masks", "products", "why", "width"),
            *("playground", "start"),
        )
    ),
)


def to_html(page: Page) -> str:
    """Return the page as a file of its own; no text in it is read as HTML."""
    style = source("minitx.inspection", "explain.css") + SHARES
    tools = {"grid_of": grid_of, "typeset": _typeset, "blanks": (GAP, MASKED)}
    tables = render("minitx.inspection", "explain.html", page=page, **tools)
    if page.scene is None:
        return self_contained(page.title, style, tables)
    style += source("minitx.inspection", "explain/playground.css")
    # One script, so that one hash allows it.
    script = "\n".join(source("minitx.inspection", name) for name in SCRIPTS)
    parts = {"tables": tables, "scene": page.scene}
    body = render("minitx.inspection", "explain/playground.html", **parts)
    return self_contained(page.title, style, body, script)


def _typeset(formulas: str) -> str:
    """Return formulas as HTML, with their subscripts and superscripts."""
    formulas = re.sub(r"\b([Wb])([qkvo])\b", r"\1<sub>\2</sub>", html.escape(formulas))
    return re.sub(r"\^(\w+)", r"<sup>\1</sup>", formulas)
