"""Attention maps as one self-contained page, which works from disk and makes no request.

The page contains its style, its scripts and the maps. Everything from a text or a checkpoint is in
a block of JSON, which is never executed. The scripts insert it as text, never as markup.
"""

import html

from minitx.drawing.html import render, self_contained, source
from minitx.inspection.page_data import run_data
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionWeights

# In the order in which they are in the page: each uses those before it.
SCRIPTS = (
    *("elements", "window", "weights", "colours", "heads"),
    *("small_map", "grid", "ranking", "overview"),
    *("matrix", "filters", "lines", "predictions"),
    *("forming", "training", "links", "run", "start"),
)

MOST_WEIGHTS = 24_000_000  # in one page, which then has 64 MB and opens within some seconds


def page(maps: AttentionWeights, *others: AttentionWeights) -> str:
    """Return a page, to be written as UTF-8: the maps of a run, or of some next to each other.

    Weights are within 2e-5 of those of `maps`, signed ones within 4e-5 of the largest; zeros stay
    zeros. If there are more than `MOST_WEIGHTS`, the page has the first maps and says which it
    leaves out. Raises ValueError if labels do not fit weights.
    """
    shown = [maps, *others]
    # One script, so that one hash allows it.
    script = "\n".join(source("minitx.inspection", f"{name}.js") for name in SCRIPTS)
    runs = [run_data(each, MOST_WEIGHTS // len(shown)) for each in shown]
    body = render("minitx.inspection", "attention.html", runs=runs)
    title = " and ".join(visible(each.title, blanks=" ") for each in shown)
    return self_contained(title, source("minitx.inspection", "attention.css"), body, script)


def frame(page: str) -> str:
    """Return a page as a frame within another one, isolated from its scripts and cookies."""
    return (
        '<iframe title="attention maps" width="100%" height="760" style="border: 0" '
        f'sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
    )
