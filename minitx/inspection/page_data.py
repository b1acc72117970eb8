"""The data of one run in the page of attention maps: plain values, for the scripts in web/."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minitx.inspection.head_names import measured_heads
from minitx.inspection.packing import pack
from minitx.inspection.segments import segment_starts
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import (
    AttentionMap,
    AttentionWeights,
    Findings,
    Frame,
    HeadCosts,
    Influence,
    MeasuredHead,
    Prediction,
    scales_of,
    words_for,
)

Kinds = dict[str, list[dict[str, Any]]]  # the layers of each kind

DIGITS = 5  # of probabilities, after the point


def run_data(maps: AttentionWeights, room: int) -> dict[str, Any]:
    """Return the data of one run for the scripts, with at most `room` weights."""
    found = maps.findings or Findings()
    kinds: Kinds = {}
    left_out = []
    costs = {} if found.costs is None else found.costs.without
    if maps.influence is not None:
        kinds["influence"] = [_influence(maps.influence)]
        room -= maps.influence.weights.numel()
    scales = scales_of(maps.maps)
    for each in maps.maps:
        measured = measured_heads(each, found.induction, costs)
        layer = _layer(each, measured, scale=scales.get(each.kind))
        room -= _size(layer)
        if room < 0:
            left_out.append(each.name)
        else:
            kinds.setdefault(each.kind, []).append(layer)
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
        "costs": "" if found.costs is None else _measured_on(found.costs),
        "predictions": list(map(_prediction, found.predictions)),
        "kinds": _described(kinds),
        "training": list(map(_frame, found.history)),
    }


def _measured_on(costs: HeadCosts) -> str:
    return visible(f"{costs.metric} on {costs.split}", blanks=" ")


def _described(kinds: Kinds) -> list[dict[str, Any]]:
    """Return the layers of each kind, with the words for the kind."""
    # Influence comes last: it is what models without attention have instead of attention.
    order = sorted(kinds, key=lambda kind: kind == "influence")
    described = []
    for kind in order:
        words = words_for(kind)
        names = {"kind": kind, "side": words.side or kind}
        described.append(words._asdict() | names | {"layers": kinds[kind]})
    return described


def _frame(frame: Frame) -> dict[str, Any]:
    """Return what the heads of one step of the training attend to."""
    kinds: Kinds = {}
    for each, measured in zip(frame.maps, frame.measured, strict=True):
        kinds.setdefault(each.kind, []).append(_layer(each, measured, bits=8))
    text = str(frame.plain["text"])
    return {
        "step": frame.plain["step"],
        "text": visible(text, blanks=" " if text.strip() else ""),
        "tokens": frame.plain["tokens"],
        "kinds": _described(kinds),
    }


def _size(layer: Mapping[str, Any]) -> int:
    """Return the number of weights that are in the page for a layer."""
    heads, queries, keys = (len(layer[name]) for name in ("heads", "queries", "keys"))
    return heads * (queries * (queries + 1) // 2 if layer["triangular"] else queries * keys)


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


def _layer(
    each: AttentionMap, measured: list[MeasuredHead], bits: int = 16, scale: float | None = None
) -> dict[str, Any]:
    title, weights = "" if each.layer is None else str(each.layer), each.weights.numpy()
    layer = _matrix(each.name, title, weights, each.heads, each.queries, each.keys, bits, scale)
    return layer | {"measured": measured, "unit": each.unit, "meanOf": each.mean_of}


def _influence(influence: Influence) -> dict[str, Any]:
    weights = influence.weights.numpy()[None]
    layer = _matrix("influence", "", weights, (0,), influence.targets, influence.sources)
    return layer | {"measured": [{"name": ""}], "unit": "head", "meanOf": None}


def _matrix(
    name: str,
    title: str,
    weights: np.ndarray,
    heads: Sequence[int],
    queries: Sequence[str],
    keys: Sequence[str],
    bits: int = 16,
    scale: float | None = None,
) -> dict[str, Any]:
    """Return the weights of one layer, float32 (heads, queries, keys), packed, with labels."""
    if weights.shape != (len(heads), len(queries), len(keys)):
        raise ValueError(
            f"{name}: weights {weights.shape} do not fit {len(heads)} heads, "
            f"{len(queries)} queries and {len(keys)} keys"
        )
    return {
        "name": visible(name),
        "title": title,
        "heads": list(heads),
        "queries": list(map(visible, queries)),
        "keys": list(map(visible, keys)),
        "segments": [segment_starts(list(map(visible, labels))) for labels in (queries, keys)],
        **pack(weights, bits, scale),
    }
