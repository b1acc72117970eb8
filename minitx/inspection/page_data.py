"""The data of one run in the page of attention maps: plain values, for the scripts in web/."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minitx.inspection.findings import Findings, Prediction
from minitx.inspection.head_names import head_name
from minitx.inspection.measures import measure_heads
from minitx.inspection.segments import segment_starts
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionMap, AttentionWeights, Influence, words_for

# Codes of weights. web/weights.js has the same two numbers.
FULL, NOT_A_NUMBER = 65534, 65535

DIGITS = 5  # of measures and probabilities, after the point


def run_data(maps: AttentionWeights, room: int) -> dict[str, Any]:
    """Return the data of one run for the scripts, with at most `room` weights."""
    found = maps.findings or Findings()
    kinds: dict[str, list[dict[str, Any]]] = {}
    left_out = []
    if maps.influence is not None:
        influence = _influence(maps.influence)
        room -= influence.pop("size")
        kinds["influence"] = [influence]
    for each in maps.maps:
        layer = _layer(each, found)
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
        "run": visible(str(about.get("run", "")), blanks=" ") if about.get("run") else "",
        "passages": [
            (title, visible(passage, blanks=" \n" if passage.strip() else ""))
            for name, title in (("text", "text"), ("output", maps.output_name))
            if (passage := str(about.pop(name, "")))
        ],
        "notes": [visible(str(note), blanks=" ") for note in about.pop("notes", [])],
        "about": list(_flat(about)),
        "leftOut": left_out,
        "costs": "" if found.costs is None else f"{found.costs.metric} on {found.costs.split}",
        "predictions": list(map(_prediction, found.predictions)),
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


def _prediction(each: Prediction) -> dict[str, Any]:
    """Return the candidates and the actual token after one position."""
    return {
        "token": visible(each.token),
        "candidates": [(visible(label), round(p, DIGITS)) for label, p in each.candidates],
        "actual": each.actual and (round(each.actual[0], DIGITS), each.actual[1]),
    }


def _layer(each: AttentionMap, found: Findings) -> dict[str, Any]:
    title = "" if each.layer is None else str(each.layer)
    layer = _matrix(each.name, title, each.weights.numpy(), each.heads, each.queries, each.keys)
    return layer | {"measured": head_data(each, found)}


def head_data(each: AttentionMap, found: Findings) -> list[dict[str, Any]]:
    """Return the name and the measures of every head of a map; those without a value are absent."""
    costs = {} if found.costs is None else found.costs.without
    heads = []
    for row in measure_heads([each], found.induction):
        measures = asdict(row) | {"importance": costs.get((row.name, row.head))}
        del measures["name"], measures["head"]
        heads.append(
            {"name": head_name(row, len(each.keys))}
            | {key: round(value, DIGITS) for key, value in measures.items() if value is not None}
        )
    return heads


def _influence(influence: Influence) -> dict[str, Any]:
    weights = influence.weights.numpy()[None]
    layer = _matrix("influence", "", weights, (0,), influence.targets, influence.sources)
    return layer | {"measured": [{"name": ""}]}


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
        "segments": [segment_starts(list(map(visible, labels))) for labels in (queries, keys)],
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
