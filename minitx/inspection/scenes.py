"""The numbers that the page of `minitx explain` starts from, for the scripts in web/explain/.

A scene is an example, in which readers change the sentence and the matrices, or the heads of one
layer of a trained model.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minitx.inspection.capture import Attention, head_count, shared_by
from minitx.inspection.formulas import alibi_slope, divisor, formulas_of
from minitx.inspection.steps import Steps
from minitx.inspection.tables import MOST_FEATURES, MOST_TOKENS
from minitx.nn.attention import SelfAttention
from minitx.nn.recurrent_attention import AdditiveAttention

Scene = Mapping[str, Any]

MOST = {"tokens": MOST_TOKENS, "features": MOST_FEATURES}  # shown, as in the tables of the terminal
CAUSAL = "Causal mask"


def example_scene(title: str, tokens: Sequence[str], x: Tensor, **matrices: Tensor) -> Scene:
    """Return a scene with one row of `x` for each token, and the matrices Wq, Wk and Wv."""
    rows = {token.lower(): row for token, row in zip(tokens, x.tolist(), strict=True)}
    return {
        "kind": "example",
        "title": title,
        "sentence": " ".join(tokens),
        "rows": rows,
        "matrices": {name: matrix.tolist() for name, matrix in matrices.items()},
        "projections": [f"{name} = x W{name}" for name in "qkv"],
        "scaled": True,
        "mask": {"label": CAUSAL, "on": False, "allowed": None},
        "most": MOST,
    }


def trained_scene(
    title: str,
    attention: Attention,
    steps: Steps,
    head: int,
    notes: Sequence[Sequence[str]],
    queries: Sequence[str],
    keys: Sequence[str],
) -> Scene | None:
    """Return the scene of a layer of a trained model, which begins with `head`.

    `steps` and `notes` are those of all heads, and `queries` and `keys` are labels. Returns None
    for additive attention: its scores are not products of queries and keys.
    """
    if isinstance(attention, AdditiveAttention):
        return None
    return {
        "kind": "trained",
        "title": title,
        "queries": list(queries),
        "keys": list(keys),
        "head": head,
        "heads": [_head(attention, steps, i, notes[i]) for i in range(head_count(attention))],
        "projections": formulas_of(attention, head).projections,
        "scaled": bool(divisor(attention)),
        "mask": _mask(attention, steps.allowed[head]),
        "most": MOST,
    }


def _head(attention: Attention, steps: Steps, head: int, notes: Sequence[str]) -> dict[str, Any]:
    width = steps.values.size(-1)
    first = head * width + 1  # as features are numbered
    shared = head // shared_by(attention) * width + 1
    return {
        "q": _packed(steps.queries[head], "<f4"),
        "k": _packed(steps.keys[head], "<f4"),
        "v": _packed(steps.values[head], "<f4"),
        "slope": alibi_slope(attention, head) or 0,
        "first": {"q": first, "k": shared, "v": shared},
        "notes": list(notes),
    }


def _mask(attention: Attention, allowed: Tensor) -> dict[str, Any] | None:
    """Return the mask of the model, or the causal one, switched off, if it hides nothing.

    In cross-attention there is no order of queries and keys, so that there is none.
    """
    if torch.equal(allowed, torch.ones_like(allowed).tril()) and len(allowed) > 1:
        return {"label": CAUSAL, "on": True, "allowed": None}
    if not bool(allowed.all()):
        return {"label": "Mask of the model", "on": True, "allowed": _packed(allowed, "u1")}
    if isinstance(attention, SelfAttention):
        return {"label": CAUSAL, "on": attention.causal, "allowed": None}
    return None


def _packed(numbers: Tensor, dtype: str) -> str:
    """Return numbers row by row in base64, as little-endian bytes of a type."""
    return base64.b64encode(numbers.numpy().astype(np.dtype(dtype)).tobytes()).decode()
