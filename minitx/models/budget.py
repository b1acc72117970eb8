"""Parameter budgets: find the width at which a model has a given number of parameters."""

import dataclasses
import os
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from minitx.config.schema import BudgetConfig, ModelConfig, TransformerConfig
from minitx.models.language_model import count_parameters

TOLERANCE = 0.02
WIDEST_STEP = 512

Build = Callable[[ModelConfig], nn.Module]  # from minitx.models.build, for one vocabulary


def within_budget(config: ModelConfig, budget: BudgetConfig, build: Build) -> ModelConfig:
    """Return the config at the width that its budget asks for, or as it is without a budget.

    Raises ValueError as `fit_width`.
    """
    if budget.parameters is None:
        return config
    return fit_width(config, build, budget.parameters, budget.non_embedding)


def fit_width(
    config: ModelConfig, build: Build, parameters: int, non_embedding: int | None = None
) -> ModelConfig:
    """Return the config with the `dim` at which the model has `parameters` trainable parameters.

    The result is within 2% of `parameters`. The dim of a Transformer is a multiple of its heads. If
    these steps are too coarse, the width of the feed-forward is adjusted too, unless `ff_dim` is
    given. With `non_embedding`, the number of parameters outside embeddings and logits is as close
    to it as the widths allow. Raises ValueError if no width fits, or if no model can be built.
    """
    step = _smallest_width(config, build)

    def at(multiple: int) -> ModelConfig:
        return dataclasses.replace(config, dim=multiple * step)

    @cache
    def sizes(multiple: int) -> tuple[int, int]:
        return sizes_of(at(multiple), build)

    def distance(fitted: ModelConfig) -> tuple[float, float]:
        """All totals within the tolerance are equally good."""
        total, outside = sizes_of(fitted, build)
        apart = max(abs(total - parameters) / parameters, TOLERANCE)
        return apart, abs(outside / non_embedding - 1) if non_embedding else 0.0

    nearest = _closest(lambda multiple: sizes(multiple)[0], parameters)
    candidates = [at(nearest)]
    if isinstance(config, TransformerConfig) and config.feedforward and config.ff_dim is None:
        widths = [nearest]
        if non_embedding is not None:
            # At this width the embeddings have their share, and the feed-forward takes up the rest.
            embedding = parameters - non_embedding
            widths.append(_closest(lambda each: sizes(each)[0] - sizes(each)[1], embedding))
        candidates += [
            _with_feed_forward(dataclasses.replace(config, dim=each * step), build, parameters)
            for each in widths
        ]
    elif non_embedding is not None:
        other = _closest(lambda multiple: sizes(multiple)[1], non_embedding)
        candidates += map(at, range(min(nearest, other), max(nearest, other) + 1))
    fitted = min(candidates, key=distance)
    if distance(fitted)[0] > TOLERANCE:
        raise ValueError(
            f"budget.parameters={parameters:,}: no width comes within {TOLERANCE:.0%}; the "
            f"nearest is {sizes_of(fitted, build)[0]:,} at model.dim={fitted.dim}, a multiple of "
            f"{step}"
        )
    return fitted


def _closest(size: Callable[[int], int], wanted: int) -> int:
    """Return the number from 1 on at which `size`, which grows with it, is closest to `wanted`."""
    high = 1
    while size(high) < wanted:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:  # size(low) < wanted <= size(high), except for the smallest number
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < wanted else (low, middle)
    return min(low, high, key=lambda number: abs(size(number) - wanted))


def _with_feed_forward(config: TransformerConfig, build: Build, parameters: int) -> ModelConfig:
    """Return the config with the width of the feed-forward that comes closest to `parameters`."""
    units = 4 * config.dim
    found, wider = (
        sizes_of(dataclasses.replace(config, ff_dim=width), build)[0]
        for width in (units, units + 1)
    )
    ff_dim = max(1, units + round((parameters - found) / (wider - found)))
    return dataclasses.replace(config, ff_dim=ff_dim)


def _smallest_width(config: ModelConfig, build: Build) -> int:
    """Return the smallest width that can be built. Exactly its multiples can be built, too.

    Heads divide the width, rotary positions halve a head, and two directions halve the width. Only
    `build` knows which of these rules apply.
    """
    refusal = ValueError("no width was tried")
    for dim in range(1, WIDEST_STEP + 1):
        try:
            sizes_of(dataclasses.replace(config, dim=dim, layers=len(config.pattern)), build)
        except ValueError as error:
            refusal = error
        else:
            return dim
    raise refusal


def sizes_of(config: ModelConfig, build: Build) -> tuple[int, int]:
    """Return the number of trainable parameters, and of those outside embeddings and logits.

    Raises ValueError if no model can be built.
    """
    with torch.device("meta"):  # shapes without numbers: nothing is allocated
        return count_parameters(build(config))


def sketch(build: Callable[[], nn.Module], copies: int = 1) -> nn.Module:
    """Return a model of shapes without numbers, for which nothing is allocated.

    Raises ValueError if no model can be built, or if `copies` of its weights need more than all
    memory.
    """
    with torch.device("meta"):
        model = build()
    weights, others = (
        sum(tensor.nbytes for tensor in each) for each in (model.parameters(), model.buffers())
    )
    needed = copies * weights + others
    memory = machine_memory()
    if needed > memory:
        raise ValueError(
            f"the model needs {needed / 1e9:,.1f} GB, and this machine has {memory / 1e9:,.1f} GB: "
            "make model.dim, model.layers, model.context or the sizes of mixers smaller"
        )
    return model


def machine_memory() -> int:
    """Return the number of bytes of main memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
