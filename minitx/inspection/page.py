"""Attention maps as one self-contained page, which works from disk and makes no request.

The page contains its style, its scripts and the maps. Everything from a text or a checkpoint is in
a block of JSON, which is never executed. The scripts insert it as text, never as markup.
"""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minitx.drawing.html import render, self_contained, source
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionMap, AttentionWeights, Influence, words_for

# In the order in which they are in the page: each uses those before it.
SCRIPTS = ("elements", "weights", "colours", "overview", "matrix", "lines", "run", "start")

MOST_WEIGHTS = 24_000_000  # in one page, which then has 64 MB and opens within some seconds

# Codes of weights. web/weights.js has the same two numbers.
FULL, NOT_A_NUMBER = 65534, 65535


def page(maps: AttentionWeights, other: AttentionWeights | None = None) -> str:
    """Return a page, to be written as UTF-8: the maps of a run, or of two runs next to each other.

    Weights are within 2e-5 of those of `maps`; zeros stay zeros. If there are more than
    `MOST_WEIGHTS`, the page has the first maps and says which it leaves out. Raises ValueError if
    labels do not fit weights.
    """
    shown = [maps] if other is None else [maps, other]
    # One script, so that one hash allows it.
    script = "\n".join(source("minitx.inspection", f"{name}.js") for name in SCRIPTS)
    runs = [_run(each, MOST_WEIGHTS // len(shown)) for each in shown]
    body = render("minitx.inspection", "attention.html", runs=runs)
    title = " and ".join(visible(each.title, blanks=" ") for each in shown)
    return self_contained(title, source("minitx.inspection", "attention.css"), body, script)


def frame(page: str) -> str:
    """Return a page as a frame within another one, isolated from its scripts and cookies."""
    return (
        '<iframe title="attention maps" width="100%" height="760" style="border: 0" '
        f'sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
    )


def _run(maps: AttentionWeights, room: int) -> dict[str, Any]:
    """Return the data of one run for the scripts, with at most `room` weights."""
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
    # Influence comes last: it is what models without attention have instead of attention.
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
        "about": list(_flat(about)),
        "leftOut": left_out,
        "kinds": [
            {"kind": kind, **words_for(kind)._asdict(), "layers": kinds[kind]} for kind in order
        ],
    }


def _flat(about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif value is not None:
            spelt = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield visible(str(name), blanks=" "), visible(spelt, blanks=" ")


def _layer(each: AttentionMap) -> dict[str, Any]:
    title = "" if each.layer is None else str(each.layer)
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
    """Return the weights of one layer, float32 (heads, queries, keys), packed, with labels."""
    if weights.shape != (len(heads), len(queries), len(keys)):
        raise ValueError(
            f"{name}: weights {weights.shape} do not fit {len(heads)} heads, "
            f"{len(queries)} queries and {len(keys)} keys"
        )
    # If no token attends to a later one, half of the matrix is left out.
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
    """Return weights from 0 to 1, float32, as codes of the same shape, little-endian uint16.

    code = FULL * sqrt(weight): codes of small weights are closer together, so that the thousandths
    of a long text keep three digits. Only a weight of zero gets the code of zero.
    """
    codes = np.rint(np.sqrt(np.clip(weights, 0, 1)) * FULL)
    codes = np.where(weights > 0, np.maximum(codes, 1), codes)
    return np.where(np.isnan(weights), NOT_A_NUMBER, codes).astype("<u2")
