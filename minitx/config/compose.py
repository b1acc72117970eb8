"""From YAML and the command line to a checked `Config`, and back to plain values."""

import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from minitx.config.renames import NEW_NAMES, renamed, renamed_overrides
from minitx.config.schema import (
    MODELS,
    CompareConfig,
    Config,
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    ImportanceConfig,
    InspectConfig,
    ModelConfig,
    PredictConfig,
    RecurrentConfig,
    StudyConfig,
    TranslateConfig,
)
from minitx.config.yaml_files import rename_in_files
from minitx.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"

# What a run may be resumed with; anything else would make it another run.
CHANGED_ON_RESUME = ("trainer", "logger", "resume")
# ... and where its corpus lies now; that it is the same one is checked by its fingerprint.
MOVED_ON_RESUME = ("data.dir", "data.path", "data.target_path", "data.cache_dir", "data.workers")

Schema = TypeVar("Schema")


def register_schemas() -> None:
    """Tells Hydra the types of every key; the YAML files name these schemas in their defaults."""
    rename_in_files()
    store = ConfigStore.instance()
    store.store(name="train_schema", node=Config)
    store.store(name="generate_schema", node=GenerateConfig)
    store.store(name="evaluate_schema", node=EvaluateConfig)
    store.store(name="translate_schema", node=TranslateConfig)
    store.store(name="predict_schema", node=PredictConfig)
    store.store(name="inspect_schema", node=InspectConfig)
    store.store(name="importance_schema", node=ImportanceConfig)
    store.store(name="explain_schema", node=ExplainConfig)
    store.store(name="compare_schema", node=CompareConfig)
    store.store(group="study", name="study_schema", node=StudyConfig)
    for schema in set(MODELS.values()):
        name = schema.__name__.removesuffix("Config").lower()
        store.store(group="model", name=f"{name}_schema", node=schema)


def compose(*overrides: str) -> Config:
    """Return the config that scripts/train.py composes from overrides such as "model=lstm".

    Raises UserError for a value that breaks its rules, and Hydra's errors for a malformed override.
    """
    if not CONF.is_dir():
        raise UserError(f"{CONF} is missing: install minitx from its checkout, pip install -e .")
    register_schemas()
    outer = GlobalHydra.instance().hydra  # of a script that composes others
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return to_typed(hydra.compose("config", renamed_overrides(overrides)), Config)
    finally:
        GlobalHydra.instance().hydra = outer


def options(group: str) -> list[str]:
    """The names a config group offers."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def to_typed(composed: DictConfig, schema: type[Schema]) -> Schema:
    """Return the composed config as dataclasses, with every value checked.

    Raises UserError for a key that does not exist, and for a value that breaks its rules.
    """
    known = set(known_keys(composed, schema))
    for name in _names(composed):
        if name not in known:
            raise unknown_key(name, composed, schema)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, schema)
    _check(config, "")
    model = getattr(config, "model", None)
    if isinstance(model, RecurrentConfig) and model.name != model.cell:
        raise UserError(f"model.cell={model.cell} under model={model.name}: say model={model.cell}")
    return config


def to_plain(config: Any) -> dict[str, Any]:
    """Dataclasses as dicts of plain values, as checkpoints and YAML files hold them."""
    return dataclasses.asdict(config)


def changed(group: Schema, change: Any) -> Schema:
    """A group of a run's keys, with what was said beside the run put on it."""
    said = {name: value for name, value in to_plain(change).items() if value is not None}
    return dataclasses.replace(group, **said)  # type: ignore


def from_plain(values: Any) -> Config:
    """Return the config that `to_plain` gave. Raises UserError if the values are none."""
    try:
        model = MODELS[values["model"]["name"]]
        structured = OmegaConf.structured(Config(model=model()))
        merged = OmegaConf.merge(structured, _literals(renamed(values)))
    except (LookupError, TypeError, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"not a config of a minitx run ({reason})") from error
    assert isinstance(merged, DictConfig)
    return to_typed(merged, Config)


def literal(text: str) -> str:
    """Text in which OmegaConf finds no interpolation: "${" comes back as "${"."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # backslashes count only before one


def _literals(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _literals(value) for name, value in values.items()}
    return literal(values) if isinstance(values, str) else values


def read_config(path: Path) -> Config:
    """The config in a run's config.yaml. Raises UserError where it is missing or not one."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: {path.parent} is not a run's folder") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    try:
        return from_plain(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def resumed(asked: Config, overrides: list[str]) -> Config:
    """Return the config of the run in `asked.resume`, changed by the command line's `overrides`.

    Raises UserError for an override that would make it a different run.
    """
    assert asked.resume is not None
    saved = read_config(Path(asked.resume, "config.yaml"))
    for override in overrides:
        name = override.lstrip("+~").split("=", 1)[0]
        group, *rest = name.split(".")
        if group not in CHANGED_ON_RESUME and name not in MOVED_ON_RESUME:
            old, new = _choice(saved, name), _choice(asked, name)
            is_key = hasattr(saved, group)  # an experiment is none: it sets several
            if is_key and old == new:
                continue
            change = f"{name} ({old} in the run, {new} asked for)" if is_key else name
            raise UserError(
                f"resume cannot change {change}: leave it out, or start a new run; only trainer.* "
                "and logger.* may change"
            )
        if group == "resume":
            continue
        for changed in [".".join(rest)] if rest else _keys_set_by(group, override):  # logger=csv
            setattr(getattr(saved, group), changed, _get(asked, f"{group}.{changed}"))
    saved.resume = asked.resume
    return saved


def _keys_set_by(group: str, override: str) -> list[str]:
    option = override.split("=", 1)[1]
    values = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8")) or {}
    return [name for name in values if name != "defaults"]


def unknown_key(name: str, composed: DictConfig, schema: type) -> UserError:
    """The error for a key that does not exist: it names the nearest that does."""
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
    known = known_keys(composed, schema)
    last_parts = {key.rsplit(".", 1)[-1]: key for key in known}
    last = name.rsplit(".", 1)[-1]
    near = last_parts.get(last) or nearest(name, known)  # the right key in the wrong group, or
    if near is None:  # nearly so
        near = last_parts.get(nearest(last, list(last_parts)) or "")
    hint = f": did you mean {near}?" if near else "; --help lists the keys"
    return UserError(f"there is no key {name}{hint}")


def known_keys(composed: DictConfig, schema: type) -> list[str]:
    """Every key there is, as dotted names; the model's name decides which keys it has."""
    model = composed.get("model") if isinstance(composed, DictConfig) else None
    name = model.get("name") if isinstance(model, DictConfig) else None
    return [name for name, _ in keys(schema, MODELS.get(name or "", ModelConfig))]


def keys(
    schema: type, model: type[ModelConfig] = ModelConfig, prefix: str = ""
) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Dotted names and fields of all the keys under a schema, groups and their keys alike."""
    for field in dataclasses.fields(schema):
        yield prefix + field.name, field
        inner = model if field.type is ModelConfig else field.type
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from keys(inner, model, f"{prefix}{field.name}.")


def as_typed(value: Any) -> str:
    """A value as one types it on a command line: null, true, 0.02, rotary."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word most like this one, if any is like it."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def type_name(field: dataclasses.Field[Any]) -> str:
    """A key's type in words: "whole number", "text or null", ..."""
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    words |= {list: "list", dict: "names with values"}
    whole = typing.get_origin(field.type)
    members = (field.type,) if whole in words else typing.get_args(field.type) or (field.type,)
    named = [words[typing.get_origin(each) or each] for each in members if each is not NoneType]
    return " or ".join([*named, "null"] if NoneType in members else named)


def _names(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, node):
        value = node._get_node(name)
        if isinstance(value, DictConfig) and not value._is_none() and not _is_free(value):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_free(node: DictConfig) -> bool:
    """Whether it is a value of its own, whose keys are the user's: a dict, not a dataclass."""
    return node._metadata.object_type in (dict, None)


def _check(config: Any, prefix: str) -> None:
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            _check(value, f"{name}.")
        elif value is not None:
            _check_value(name, value, field.metadata)


def _check_value(name: str, value: Any, rules: typing.Mapping[str, Any]) -> None:
    if "choices" in rules and value not in rules["choices"]:
        near = nearest(str(value), list(rules["choices"]))
        hint = f"did you mean {near}? " if near else ""
        raise UserError(f"{name}={value}: {hint}it may be one of {', '.join(rules['choices'])}")
    # "not >=" rather than "<", so that NaN breaks every rule.
    if "minimum" in rules and not value >= rules["minimum"]:
        raise UserError(f"{name}={value}: it must be at least {rules['minimum']}")
    if "maximum" in rules and not value <= rules["maximum"]:
        raise UserError(f"{name}={value}: it must be at most {rules['maximum']}")
    if "above" in rules and not value > rules["above"]:
        raise UserError(f"{name}={value}: it must be above {rules['above']}")
    if "below" in rules and not value < rules["below"]:
        raise UserError(f"{name}={value}: it must be below {rules['below']}")


def _choice(config: Any, name: str) -> Any:
    """A key's value, or the option chosen for a group: "lstm" for model."""
    value = _get(config, name)
    return value.name if dataclasses.is_dataclass(value) and hasattr(value, "name") else value


def _get(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part, None)
    return config
