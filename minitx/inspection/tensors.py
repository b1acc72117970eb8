"""Attention weights that another program computed, as maps with labels."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from minitx.errors import UserError
from minitx.inspection.capture import kind_of
from minitx.inspection.weights import AttentionMap

ROUNDING = 1e-2  # weights in half precision may exceed one by that


def named_tensors(maps: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of each layer, (heads, queries, keys), by name.

    Without names, they are those of a decoder if no token attends to a later one, and of an encoder
    otherwise. Raises UserError as `single`.
    """
    if isinstance(maps, Mapping):
        return {str(name): single(weights, str(name)) for name, weights in maps.items()}
    layers = [single(weights, f"map {layer}") for layer, weights in enumerate(maps)]
    kind = "decoder" if all(map(is_causal, layers)) else "encoder"
    return {f"{kind}.layers.{layer}.self": weights for layer, weights in enumerate(layers)}


def is_causal(weights: Tensor) -> bool:
    """Return whether no query attends to a later key: weights (heads, queries, keys)."""
    return not bool(weights.triu(1).any())


def single(weights: Tensor, name: str) -> Tensor:
    """Return the weights of one text: float32 (heads, queries, keys), on the CPU.

    Raises UserError for another shape, for a batch of several texts, and for numbers that are not
    weights, which lie between 0 and 1.
    """
    try:
        found = torch.as_tensor(weights).detach().to("cpu", torch.float32, copy=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name} is a {type(weights).__name__}, not a tensor of weights") from error
    if found.ndim == 4 and found.size(0) == 1:
        found = found[0]
    if found.ndim == 4:
        raise UserError(
            f"{name} has the weights of {found.size(0)} texts or windows: give those of one text, "
            "not divided into windows"
        )
    if found.ndim != 3 or not found.numel():
        raise UserError(f"{name} has the shape {tuple(found.shape)}, not (heads, queries, keys)")
    implicit = kind_of(name).startswith("implicit")
    if not implicit and not bool(((found >= 0) & (found <= 1 + ROUNDING)).all()):
        raise UserError(
            f"{name} has values that are not between 0 and 1: give the weights, after the softmax"
        )
    return found


def labelled_map(
    name: str,
    weights: Tensor,
    queries: Sequence[str],
    keys: Sequence[str],
    heads: Sequence[int] | None = None,
) -> AttentionMap:
    """Return a map of weights (heads, queries, keys). Raises UserError if labels do not fit them.

    `heads` are the numbers of the heads to keep.
    """
    rows, columns = weights.shape[1:]
    for what, length, labels in (("queries", rows, queries), ("keys", columns, keys)):
        if length != len(labels):
            raise UserError(f"{name} has {length} {what}, and there are {len(labels)} tokens")
    numbers = tuple(range(len(weights)) if heads is None else heads)
    return AttentionMap(
        name, weights[list(numbers)], tuple(map(str, queries)), tuple(map(str, keys)), numbers
    )
