"""States as trees: whatever a mixer carries on, it is nested tuples of tensors, batch first."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """The tree with `function` of each of its tensors; what is neither tensor nor tuple stays."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        parts = [map_tensors(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree


def reorder(tree: Any, rows: Tensor) -> Any:
    """The tree of a batch made of the given rows, int64 (R,), of this one, each as often as named.

    So hypotheses are copied, dropped and moved about, together with all that was read in them.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree)
