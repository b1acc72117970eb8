"""The colour scales of weights in pictures, and the strongest weights of patches."""

from collections.abc import Iterable

import matplotlib
import numpy as np
import torch.nn.functional as F
from matplotlib.colors import FuncNorm, Normalize, PowerNorm
from torch import Tensor

from minitx.drawing.figures import SHARES
from minitx.inspection.layout import Scale

WEIGHTS = Scale(
    PowerNorm(0.5, 0, 1), matplotlib.colormaps[SHARES], (0, 0.05, 0.25, 0.5, 1), "attention weight"
)
IMPLICIT = WEIGHTS._replace(caption="implicit weight")


def scale_of(implicit: bool, most: float | None) -> Scale:
    """Return the scale of weights from 0 to 1, or of implicit ones from -most to most.

    Colours show the square root of a weight. Blue is above zero, as for attention.
    """
    if not implicit:
        return WEIGHTS
    if most is None:
        return IMPLICIT
    norm = FuncNorm((_signed_root, _signed_square), -most, most)
    return Scale(norm, matplotlib.colormaps["RdBu"], (-most, 0, most), IMPLICIT.caption)


def distinct(scales: Iterable[Scale]) -> list[Scale]:
    """Return the scales without repetition; one scale of two kinds of weights names both."""
    found: dict[Normalize, Scale] = {}
    for scale in scales:
        known = found.setdefault(scale.norm, scale)
        if scale.caption not in known.caption:
            caption = f"{known.caption}, {scale.caption}"
            found[scale.norm] = known._replace(caption=caption)
    return list(found.values())


def strongest(weights: Tensor, pool: int) -> np.ndarray:
    """Return the weight with the largest absolute value of each pool x pool patch, with its sign.

    (heads, queries, keys) -> (heads, queries / pool, keys / pool), rounded up.
    """
    above, below = (
        F.max_pool2d(each[None], pool, ceil_mode=True)[0].numpy() for each in (weights, -weights)
    )
    return np.where(below > above, -below, above)


def _signed_root(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.sqrt(np.abs(x))


def _signed_square(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.square(x)
