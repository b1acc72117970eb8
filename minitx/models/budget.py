"""The width that gives a model so many parameters, so that models of different kinds compare."""

import dataclasses

import torch

from minitx.config import ModelConfig, TransformerConfig
from minitx.models.build import language_model
from minitx.models.language_model import count_parameters

TOLERANCE = 0.02


def fit_width(config: ModelConfig, vocab_size: int, parameters: int) -> ModelConfig:
    """The config with `dim` solved so that its trainable parameters come within 2% of `parameters`.

    A Transformer's dim moves in steps of its heads; where these are too coarse, the feed-forward's
    width makes up the rest (unless `ff_dim` is given). Raises ValueError where no width fits.
    """
    step = _smallest_step(config)

    def at(multiple: int) -> int:
        return _count(dataclasses.replace(config, dim=multiple * step), vocab_size)

    high = 1
    while at(high) < parameters:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:  # at(low) < parameters <= at(high), save for the smallest of all
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle) < parameters else (low, middle)
    closest = min(low, high, key=lambda multiple: abs(at(multiple) - parameters))
    fitted = dataclasses.replace(config, dim=closest * step)
    if isinstance(fitted, TransformerConfig) and fitted.ff_dim is None:
        fitted = _adjust_feed_forward(fitted, vocab_size, parameters)
    found = _count(fitted, vocab_size)
    if abs(found - parameters) > TOLERANCE * parameters:
        raise ValueError(
            f"budget.parameters={parameters:,}: no width comes within {TOLERANCE:.0%}; the "
            f"nearest is {found:,} at model.dim={fitted.dim}, whose steps are {step}"
        )
    return fitted


def _adjust_feed_forward(
    config: TransformerConfig, vocab_size: int, parameters: int
) -> TransformerConfig:
    found = _count(config, vocab_size)
    if abs(found - parameters) <= TOLERANCE * parameters:
        return config
    ff_dim = 4 * config.dim
    wider = dataclasses.replace(config, ff_dim=ff_dim + 1)
    per_unit = _count(wider, vocab_size) - found
    return dataclasses.replace(
        config, ff_dim=max(1, ff_dim + round((parameters - found) / per_unit))
    )


def _smallest_step(config: ModelConfig) -> int:
    if not isinstance(config, TransformerConfig) or config.mixer != "attention":
        return 1
    return config.heads * (2 if config.position == "rotary" else 1)


def _count(config: ModelConfig, vocab_size: int) -> int:
    with torch.device("meta"):  # shapes without numbers: nothing is allocated
        return count_parameters(language_model(config, vocab_size))[0]
