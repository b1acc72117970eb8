"""Attention maps as one self-contained page: it works from disk, and asks no network for anything.

Its style, its scripts and the maps are written into it. What comes from a text or a checkpoint
enters it as JSON in a block that is never executed, and the scripts put it in place as text, never
as markup.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minitx.drawing.html import render, self_contained, source
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionMap, AttentionWeights, Influence

# In the order in which they stand in the page: each uses those before it.
SCRIPTS = ("elements", "weights", "colours", "overview", "matrix", "lines", "run", "start")

MOST_WEIGHTS = 24_000_000  # in one page, which has 64 MB then and opens within some seconds

# The codes of weights: web/weights.js knows the same two numbers.
FULL, NOT_A_NUMBER = 65534, 65535

# What the kinds of maps are called, in a switch and above a map; what a map shows; and what stands
# above the rows, and above the columns, where they are two columns of tokens.
KINDS = {
    "encoder": (
        *("Encoder", "Encoder self-attention", "A row for each token: the tokens it attends to."),
        *("token", "attends to"),
    ),
    "decoder": (
        *("Decoder", "Decoder self-attention", "A row for each token: the tokens it attends to."),
        *("token", "attends to"),
    ),
    "cross": (
        *("Cross", "Cross-attention"),
        "A row for each output token: the source tokens it attends to, the strongest ringed.",
        *("output", "source"),
    ),
    "influence": (
        *("Influence", "Influence (gradient × input)"),
        "A row for each prediction: the input tokens it is due to.",
        *("prediction", "is due to"),
    ),
}


def page(maps: AttentionWeights, other: AttentionWeights | None = None) -> str:
    """The whole page, to be written as UTF-8: what a run attended to, or two runs side by side.

    Weights are within 2e-5 of those of `maps`, and zero where those are. Beyond `MOST_WEIGHTS` the
    page holds the first maps and says which it leaves out. Raises ValueError where labels do not
    fit weights.
    """
    shown = [maps] if other is None else [maps, other]
    # One script, so that one hash allows it.
    script = "\n".join(source("minitx.inspection", f"{name}.js") for name in SCRIPTS)
    runs = [_run(each, MOST_WEIGHTS // len(shown)) for each in shown]
    body = render("minitx.inspection", "attention.html", runs=runs)
    title = " and ".join(visible(each.title, blanks=" ") for each in shown)
    return self_contained(title, source("minitx.inspection", "attention.css"), body, script)


def frame(page: str) -> str:
    """A page within another one, as in a notebook: apart from its styles, scripts and cookies."""
    return (
        '<iframe title="attention maps" width="100%" height="760" style="border: 0" '
        f'sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
    )


def _run(maps: AttentionWeights, room: int) -> dict[str, Any]:
    """All that the scripts show of one run, with at most `room` weights."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    left_out = []
    if maps.influence is not None:
        influence = _influence(maps.influence)
        room -= influence.pop("size")
        kinds["influence"] = [influence]
    for each in maps.maps:
        layer = _layer(each)
        room -= layer.pop("size")
        if room < 0:
            left_out.append(each.name)
        else:
            kinds.setdefault(each.kind, []).append(layer)
    # Influence last: it is what a model without attention has instead of it.
    order = sorted(kinds, key=lambda kind: kind == "influence")
    about = dict(maps.about)
    return {
        "title": visible(maps.title, blanks=" "),
        "passages": [
            (title, visible(passage, blanks=" \n" if passage.strip() else ""))
            for name, title in (("text", "text"), ("output", maps.output_name))
            if (passage := str(about.pop(name, "")))
        ],
        "notes": [visible(str(note), blanks=" ") for note in about.pop("notes", [])],
        "about": list(_facts(about)),
        "leftOut": left_out,
        "kinds": [_described(kind, kinds[kind]) for kind in order],
    }


def _described(kind: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
    name = visible(kind)
    described = KINDS.get(kind, (name, name, *KINDS["encoder"][2:]))
    names = ("title", "heading", "caption", "rows", "columns")
    return {"kind": kind, **dict(zip(names, described, strict=True)), "layers": layers}


def _facts(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _facts(value)
        elif value is not None:
            spelt = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield visible(str(name), blanks=" "), visible(spelt, blanks=" ")


def _layer(each: AttentionMap) -> dict[str, Any]:
    number = re.search(r"(?<![^.])\d+(?![^.])", each.name)
    title = number[0] if number else ""
    return _matrix(each.name, title, each.weights.numpy(), each.heads, each.queries, each.keys)


def _influence(influence: Influence) -> dict[str, Any]:
    weights = influence.weights.numpy()[None]
    return _matrix("influence", "", weights, (0,), influence.targets, influence.sources)


def _matrix(
    name: str,
    title: str,
    weights: np.ndarray,
    heads: Sequence[int],
    queries: Sequence[str],
    keys: Sequence[str],
) -> dict[str, Any]:
    """One layer's weights, float32 (heads, queries, keys), packed, with labels."""
    if weights.shape != (len(heads), len(queries), len(keys)):
        raise ValueError(
            f"{name}: weights {weights.shape} do not fit {len(heads)} heads, "
            f"{len(queries)} queries and {len(keys)} keys"
        )
    # Where nothing is attended to that comes later, half of the matrix is not worth its room.
    triangular = len(queries) == len(keys) and not np.any(np.triu(weights, 1) != 0)
    if triangular:
        weights = weights[:, *np.tril_indices(len(queries))]
    return {
        "name": visible(name),
        "title": title,
        "heads": list(heads),
        "queries": list(map(visible, queries)),
        "keys": list(map(visible, keys)),
        "triangular": triangular,
        "codes": base64.b64encode(encode(weights).tobytes()).decode(),
        "size": weights.size,
    }


def encode(weights: np.ndarray) -> np.ndarray:
    """Weights 0 to 1, float32, as codes of the same shape, little-endian uint16.

    code = FULL * sqrt(weight): where weights are small the codes lie closer together, so that the
    thousandths of a long text keep three digits. Only what is zero gets the code of zero.
    """
    codes = np.rint(np.sqrt(np.clip(weights, 0, 1)) * FULL)
    codes = np.where(weights > 0, np.maximum(codes, 1), codes)
    return np.where(np.isnan(weights), NOT_A_NUMBER, codes).astype("<u2")
