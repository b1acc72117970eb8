"""States as trees: the state of any mixer is a tensor or nested tuples of tensors, batch first."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Return the tree with `function` applied to each tensor. Other leaves stay as they are."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        parts = [map_tensors(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree


def reorder(tree: Any, rows: Tensor) -> Any:
    """Return the tree of a batch that consists of the given rows, int64 (R,), of this batch.

    A row may be given several times or not at all. Beam search copies, drops and reorders its
    hypotheses this way, together with their states.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree)
