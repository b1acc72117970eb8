"""The width that gives a model so many parameters, so that models of different kinds compare."""

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

from minitx.config.schema import ModelConfig, TransformerConfig
from minitx.models.language_model import count_parameters

TOLERANCE = 0.02
WIDEST_STEP = 512

Build = Callable[[ModelConfig], nn.Module]  # one of minitx.models.build, its vocabulary given


def fit_width(config: ModelConfig, build: Build, parameters: int) -> ModelConfig:
    """The config with `dim` solved so that what `build` makes of it has so many parameters.

    These are the trainable ones, and they come within 2% of `parameters`. A Transformer's dim
    moves in steps of its heads; where these are too coarse, the feed-forward's width makes up the
    rest (unless `ff_dim` is given). Raises ValueError where no width fits, or none can be built.
    """
    step = _smallest_width(config, build)

    def at(multiple: int) -> int:
        return size_of(dataclasses.replace(config, dim=multiple * step), build)

    high = 1
    while at(high) < parameters:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:  # at(low) < parameters <= at(high), save for the smallest of all
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
            f"nearest is {found:,} at model.dim={fitted.dim}, whose steps are {step}"
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
    """The smallest width that can be built; then its multiples can, and no others.

    Heads divide the width, rotary positions halve a head, two directions halve the whole: which of
    these holds is known to those who build.
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
    """How many trainable numbers the model has. Raises ValueError where none can be built."""
    with torch.device("meta"):  # shapes without numbers: nothing is allocated
        return count_parameters(build(config))[0]
