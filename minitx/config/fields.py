"""One key of a config: a dataclass field with a default, a meaning and rules."""

import json
from dataclasses import Field, field
from typing import Any


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    several: bool = False,
    path: bool = False,
) -> Any:
    """Return the field of a key, with its default, its meaning and its rules.

    The value must satisfy `minimum` <= value <= `maximum` and `above` < value < `below`, and be one
    of `choices`. With `several`, it may also be a list of choices. With `path`, it is the path of a
    file or folder, which `minitx.config.paths` completes.
    """
    rules = {
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "below": below,
        "several": several or None,
        "path": path or None,
    }
    metadata = {"help": help, **{name: rule for name, rule in rules.items() if rule is not None}}
    if isinstance(default, type):  # a group of keys, or a container
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def key_like(other: Field[Any], **changes: Any) -> Any:
    """Return the field of a key with the default, the meaning and the rules of another.

    `changes` are rules that differ.
    """
    return field(
        default=other.default,
        default_factory=other.default_factory,
        metadata={**other.metadata, **changes},
    )


def as_typed(value: Any) -> str:
    """Return a value as it is typed on a command line: null, true, 0.02, rotary, [1,2]."""
    if isinstance(value, list):
        return f"[{','.join(map(as_typed, value))}]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
