"""The keys and choices that exist, and the error for one that does not."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from minitx.config.renames import NEW_NAMES
from minitx.config.schema import MODELS, ModelConfig
from minitx.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]

# A wheel holds conf/ inside the package. In a checkout it is next to the package.
CONF = next(each for each in (PACKAGE / "conf", PACKAGE.parent / "conf") if each.is_dir())

# Names from other libraries, for the suggestion of the nearest key.
SYNONYMS = {
    "block_size": "model.context",
    "n_layer": "model.layers",
    "n_head": "model.heads",
    "n_embd": "model.dim",
    "max_iters": "trainer.max_steps",
    "device": "trainer.accelerator",
    "epochs": "trainer.max_steps",
    "max_epochs": "trainer.max_steps",
    "learning_rate": "optimizer.lr",
    "hidden_size": "model.dim",
    "d_model": "model.dim",
}


def options(group: str, *folders: str | Path) -> list[str]:
    """Return the names that a config group offers, in `conf/` and in the user's own folders."""
    files = (file for folder in (CONF, *folders) for file in Path(folder, group).glob("*.yaml"))
    return sorted({file.stem for file in files})


def keys(
    schema: type, model: type[ModelConfig] = ModelConfig, prefix: str = ""
) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Yield the dotted name and the field of every key of a schema, and of every group of keys."""
    for field in dataclasses.fields(schema):
        yield prefix + field.name, field
        inner = model if field.type is ModelConfig else field.type
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from keys(inner, model, f"{prefix}{field.name}.")


def known_keys(composed: DictConfig, schema: type) -> list[str]:
    """Return the dotted names of all keys. The model's name decides which keys `model` has."""
    model = composed.get("model") if isinstance(composed, DictConfig) else None
    name = model.get("name") if isinstance(model, DictConfig) else None
    return [name for name, _ in keys(schema, MODELS.get(name or "", ModelConfig))]


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that is most similar to `word`, or None if none is similar."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def one_of(word: str, known: Iterable[str]) -> str:
    """Return what to write instead of an unknown word.

    >>> one_of("lstn", ["lstm", "gru"])
    'did you mean lstm? it may be one of lstm, gru'
    """
    known = list(known)
    near = nearest(word, known)
    hint = f"did you mean {near}? " if near else ""
    return f"{hint}it may be one of {', '.join(known)}"


def nearest_key(name: str, known: Sequence[str]) -> str | None:
    """Return the key that `name` most likely means: the same key in another group, or a similar
    one.
    """
    last_parts = {key.rsplit(".", 1)[-1]: key for key in known}
    last = name.rsplit(".", 1)[-1]
    synonym = SYNONYMS.get(last)
    if synonym in known:
        return synonym
    near = last_parts.get(last) or nearest(name, known)
    return near or last_parts.get(nearest(last, list(last_parts)) or "")


def key_hint(name: str, known: Sequence[str], ending: str = "") -> str:
    """Return the end of an error about an unknown key: the nearest key, or how to find one."""
    near = nearest_key(name, known)
    return f": did you mean {near}{ending}?" if near else "; --help lists the keys"


def type_name(field: dataclasses.Field[Any]) -> str:
    """Return a key's type in words: "whole number", "text or null", ..."""
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    words |= {list: "list", dict: "names with values"}
    whole = typing.get_origin(field.type)
    members = (field.type,) if whole in words else typing.get_args(field.type) or (field.type,)
    named = [words[typing.get_origin(each) or each] for each in members if each is not NoneType]
    return " or ".join([*named, "null"] if NoneType in members else named)


def model_schema(overrides: Sequence[str]) -> type[ModelConfig]:
    """Return the schema of the model that the overrides choose, or of the default model."""
    return MODELS.get(chosen(overrides, "model") or "transformer", ModelConfig)


def unknown_key(name: str, known: Sequence[str], schema: type) -> UserError:
    """Return the error for a key that does not exist. It names the nearest of the known keys."""
    if name in NEW_NAMES:
        return UserError(f"{name} is now {NEW_NAMES[name]}")
    owners = [model for model, kind in MODELS.items() if name in dict(keys(schema, kind))]
    if owners:
        return UserError(f"{name} is not a key of this model; it belongs to {', '.join(owners)}")
    for key, field in keys(schema):
        if typing.get_origin(field.type) is dict and name.startswith(f"{key}."):
            added = name.removeprefix(f"{key}.")
            return UserError(
                f"{key} has no {added} so far: write ++{key}={{{added}:...}} to add it"
            )
    return UserError(f"there is no key {name}{key_hint(name, known)}")


def describe(
    error: Exception, schema: type, overrides: Sequence[str], folders: Sequence[str] = ()
) -> str:
    """Return one line that says what Hydra or OmegaConf refused, and what to write instead.

    `folders` are the user's own config folders (--config-dir).
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return f"{group}={option}: {one_of(option, options(group, *folders))}"
    if isinstance(error, OverrideParseException):
        advice = "put a value with spaces or commas in two pairs of quotes, as in 'key=\"a, b\"'"
        if re.search(r"=[\[{].*=", error.override):  # a list of overrides, as an arm of a study is
            advice = 'put each override of a list in quotes too, as in \'key=["a=1","b=2"]\''
        return f"cannot read {error.override!r}: write key=value, and {advice}"
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        return _describe_value(cause, str(error), schema, overrides)
    if isinstance(error, OmegaConfBaseException):
        return _describe_value(error, "", schema, overrides)
    return " ".join(str(error).split())


def _describe_value(
    error: OmegaConfBaseException, context: str, schema: type, overrides: Sequence[str]
) -> str:
    override = re.search(r"(?:override|value) '?([\w.]+)", context)
    name = error.full_key or (override and override.group(1)) or error.key
    if name is None:  # it comes from an interpolation, such as ${oc.env:NAME}
        name = next((each for each in overrides if "${" in each), "an interpolation")
    if "not in" in str(error):
        known = [key for key, _ in keys(schema, model_schema(overrides))]
        return str(unknown_key(str(name), known, schema))
    said = str(error).splitlines()[0]
    if "is not a ListConfig" in said:
        return f"{name} is a list: write {name}=[...], even for one value"
    return f"{name}: {said}"


def chosen(overrides: Sequence[str], group: str) -> str | None:
    """Return the last option that the overrides choose for a group, or None."""
    names = [word.split("=", 1)[1] for word in overrides if word.startswith(f"{group}=")]
    return names[-1] if names else None
