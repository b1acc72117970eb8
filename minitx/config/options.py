"""Check that the user sets only options that a mixer of the model has."""

import dataclasses
from collections.abc import Iterable

from minitx.config.fields import as_typed
from minitx.config.mixers import CrossAttentionOptions
from minitx.config.renames import key_of
from minitx.config.schema import MIXERS, Config, TransformerConfig
from minitx.config.tasks import SEQUENCE_TO_SEQUENCE
from minitx.errors import UserError


def idle_options(model: TransformerConfig, *, cross_attention: bool = False) -> list[str]:
    """Return the options that no mixer of the model has.

    With `cross_attention`, the options of cross-attention are in use whatever the mixers are.
    """
    used = _names(CrossAttentionOptions) if cross_attention else set()
    for name in model.pattern:
        used |= _names(MIXERS[name].options)
    return sorted(set().union(*(_names(spec.options) for spec in MIXERS.values())) - used)


def check_mixers(config: Config, overrides: Iterable[str]) -> None:
    """Check the list of mixers, and that the user set no option that none of them has.

    `overrides` are the user's, such as "model.heads=8". An option that a YAML file sets is
    ignored if no mixer has it. Raises UserError.
    """
    model = config.model
    if not isinstance(model, TransformerConfig):
        return
    try:
        _ = model.mixers
    except ValueError as error:
        raise UserError(str(error)) from error
    mixer = f"model.mixer={as_typed(model.mixer)}"
    asked = {key_of(override): override.lstrip("+") for override in overrides}
    cross_attention = config.task.objective == SEQUENCE_TO_SEQUENCE
    for name in idle_options(model, cross_attention=cross_attention):
        if override := asked.get(f"model.{name}"):
            raise UserError(f"{override}: {mixer} has no option {name}; remove it")
    inside = [spec.name for spec in MIXERS.values() if model.position in spec.positions]
    if "model.position" in asked and inside and not set(inside) & set(model.pattern):
        raise UserError(
            f"model.position={model.position} acts inside {' and '.join(inside)} only, and there "
            f"is none with {mixer}: use sinusoidal, learned or none"
        )


def _names(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}
