"""Weights as whole numbers, in text. web/weights.js reads them.

A code of n bits is FULL * sqrt(weight) with FULL = 2^n - 2, so codes of small weights are closer
together: the thousandths of a long text keep three digits in 16 bits. The largest code is NaN. If
no token attends to a later one, half of every matrix is left out.

Weights from -scale to scale are divided by it. Their absolute values have codes of n - 1 bits, and
the highest bit is set if they are negative.
"""

import base64
from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

SIGN = 2**15


def full(bits: int) -> int:
    """Return the code of a weight of 1; the next one is that of NaN."""
    return 2**bits - 2


def encode(weights: np.ndarray, bits: int = 16) -> np.ndarray:
    """Return weights from 0 to 1, float32, as codes of the same shape, little-endian uint.

    Only a weight of zero gets the code of zero.
    """
    codes = np.rint(np.sqrt(np.clip(weights, 0, 1)) * full(bits))
    codes = np.where(weights > 0, np.maximum(codes, 1), codes)
    return np.where(np.isnan(weights), full(bits) + 1, codes).astype(f"<u{ceil(bits / 8)}")


def decode(codes: np.ndarray, bits: int = 16) -> np.ndarray:
    """Return the weights of codes, float32."""
    weights = (codes / full(bits)) ** 2
    return np.where(codes > full(bits), np.nan, weights).astype(np.float32)


def encode_signed(weights: np.ndarray, scale: float) -> np.ndarray:
    """Return weights from -scale to scale, float32, as codes of 16 bits of the same shape."""
    sizes = encode(np.abs(weights) / scale, bits=15)
    return (sizes + (weights < 0) * SIGN).astype("<u2")


def decode_signed(codes: np.ndarray, scale: float) -> np.ndarray:
    """Return the weights of codes of 16 bits, float32."""
    signs = np.where(codes >= SIGN, -scale, scale)
    return (signs * decode(codes % SIGN, bits=15)).astype(np.float32)


def is_triangular(weights: np.ndarray) -> bool:
    """Return whether no query of (heads, queries, keys) attends to a later key."""
    return weights.shape[1] == weights.shape[2] and not np.any(np.triu(weights, 1) != 0)


def pack(weights: np.ndarray, bits: int = 16, scale: float | None = None) -> dict[str, Any]:
    """Return the weights of one layer, float32 (heads, queries, keys), as plain values.

    With a scale, they may be from -scale to scale, and have 16 bits.
    """
    triangular = is_triangular(weights)
    if triangular:
        weights = weights[:, *np.tril_indices(weights.shape[1])]
    codes = encode(weights, bits) if scale is None else encode_signed(weights, scale)
    text = base64.b64encode(codes.tobytes()).decode()
    packed = {"triangular": triangular, "bits": bits, "codes": text}
    return packed if scale is None else packed | {"scale": scale}


def unpack(packed: Mapping[str, Any], heads: int, queries: int, keys: int) -> np.ndarray:
    """Return the weights (heads, queries, keys) in what `pack` returned.

    Raises KeyError, TypeError or ValueError if it is something else, or of another shape.
    """
    bits, triangular = packed["bits"], packed["triangular"]
    if bits not in (8, 16) or not isinstance(triangular, bool):
        raise ValueError("unknown codes")
    if triangular and queries != keys:
        raise ValueError(f"{queries} queries and {keys} keys are not a square")
    content = base64.b64decode(packed["codes"], validate=True)
    codes = np.frombuffer(content, f"<u{bits // 8}")
    scale = packed.get("scale")
    weights = decode(codes, bits) if scale is None else decode_signed(codes, scale)
    if not triangular:
        return weights.reshape(heads, queries, keys)
    whole = np.zeros((heads, queries, keys), np.float32)
    whole[:, *np.tril_indices(queries)] = weights.reshape(heads, queries * (queries + 1) // 2)
    return whole
