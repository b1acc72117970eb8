"""Parameter budgets: find the width at which a model has a given number of parameters."""

import dataclasses
import os
from collections.abc import Callable

import torch
from torch import nn

from minitx.config.schema import ModelConfig, TransformerConfig
from minitx.models.language_model import count_parameters

TOLERANCE = 0.02
WIDEST_STEP = 512

Build = Callable[[ModelConfig], nn.Module]  # from minitx.models.build, for one vocabulary


def fit_width(config: ModelConfig, build: Build, parameters: int) -> ModelConfig:
    """Return the config with the `dim` at which the model has `parameters` trainable parameters.

    The result is within 2% of `parameters`. The dim of a Transformer is a multiple of its heads. If
    these steps are too coarse, the width of the feed-forward is adjusted too, unless `ff_dim` is
    given. Raises ValueError if no width fits, or if no model can be built.
    """
    step = _smallest_width(config, build)

    def at(multiple: int) -> int:
        return size_of(dataclasses.replace(config, dim=multiple * step), build)

    high = 1
    while at(high) < parameters:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:  # at(low) < parameters <= at(high), except for the smallest width
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle) < parameters else (low, middle)
    closest = min(low, high, key=lambda multiple: abs(at(multiple) - parameters))
    fitted = dataclasses.replace(config, dim=closest * step)
    if isinstance(fitted, TransformerConfig) and fitted.feedforward and fitted.ff_dim is None:
        fitted = _adjust_feed_forward(fitted, build, parameters)
    found = size_of(fitted, build)
    if abs(found - parameters) > TOLERANCE * parameters:
        raise ValueError(
            f"budget.parameters={parameters:,}: no width comes within {TOLERANCE:.0%}; the "
            f"nearest is {found:,} at model.dim={fitted.dim}, a multiple of {step}"
        )
    return fitted


def _adjust_feed_forward(
    config: TransformerConfig, build: Build, parameters: int
) -> TransformerConfig:
    found = size_of(config, build)
    if abs(found - parameters) <= TOLERANCE * parameters:
        return config
    ff_dim = 4 * config.dim
    wider = dataclasses.replace(config, ff_dim=ff_dim + 1)
    per_unit = size_of(wider, build) - found
    return dataclasses.replace(
        config, ff_dim=max(1, ff_dim + round((parameters - found) / per_unit))
    )


def _smallest_width(config: ModelConfig, build: Build) -> int:
    """Return the smallest width that can be built. Exactly its multiples can be built, too.

    Heads divide the width, rotary positions halve a head, and two directions halve the width. Only
    `build` knows which of these rules apply.
    """
    refusal = ValueError("no width was tried")
    for dim in range(1, WIDEST_STEP + 1):
        try:
            size_of(dataclasses.replace(config, dim=dim, layers=len(config.pattern)), build)
        except ValueError as error:
            refusal = error
        else:
            return dim
    raise refusal


def size_of(config: ModelConfig, build: Build) -> int:
    """Return the number of trainable parameters. Raises ValueError if no model can be built."""
    with torch.device("meta"):  # shapes without numbers: nothing is allocated
        return count_parameters(build(config))[0]


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
