"""From YAML files and overrides to a checked `Config`, and back to plain values."""

import dataclasses
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from minitx.config.checksums import check_first_line
from minitx.config.fields import as_typed
from minitx.config.keys import CONF, describe, known_keys, one_of, options, unknown_key
from minitx.config.options import check_mixers
from minitx.config.paths import full_paths
from minitx.config.renames import key_of, renamed, renamed_overrides
from minitx.config.schema import (
    MIXERS,
    MODELS,
    CompareConfig,
    Config,
    ModelConfig,
    RecurrentConfig,
    StudyConfig,
)
from minitx.config.yaml_files import check_size, rename_in_files
from minitx.errors import UserError

# The groups that may change when a run is resumed. Anything else would make it another run.
CHANGED_ON_RESUME = ("trainer", "logger", "resume")
# The corpus may have moved; its fingerprint shows that it is the same.
MOVED_ON_RESUME = ("data.dir", "data.path", "data.target_path", "data.cache_dir", "data.workers")

UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, RecursionError)

# torch, numpy and the tokenizers calculate with these: whole numbers of 64 bits, and float32.
LARGEST_INT, LARGEST_FLOAT = 2**63, 1e38

Schema = TypeVar("Schema")


def register_schemas() -> None:
    """Give Hydra the types of all keys. The YAML files name these schemas in their defaults."""
    rename_in_files()
    _store_mixer_arms()
    store_schema("train_schema", Config)
    store_schema("compare_schema", CompareConfig)
    store_schema("study_schema", StudyConfig, "study")
    for schema in set(MODELS.values()):
        name = schema.__name__.removesuffix("Config").lower()
        store_schema(f"{name}_schema", schema, "model")


def store_schema(name: str, schema: type, group: str | None = None) -> None:
    """Give Hydra the types of the keys of one schema, unless it has them: that takes a while."""
    if OmegaConf.get_type(_stored(name, group)) is not schema:
        ConfigStore.instance().store(name=name, node=schema, group=group)


def _stored(name: str, group: str | None) -> Any:
    """Return what Hydra has under a name, or None."""
    repo = ConfigStore.instance().repo
    known = repo if group is None else repo.get(group, {})
    file = known.get(f"{name}.yaml")
    return None if file is None else file.node


def _store_mixer_arms() -> None:
    """Give Hydra a study's arms with one for each mixer, for the defaults of conf/study/*.yaml."""
    arms = {name: ["model=transformer", f"model.mixer={name}"] for name in MIXERS}
    if _stored("mixer_arms", "study") != {"arms": arms}:
        ConfigStore.instance().store(name="mixer_arms", node={"arms": arms}, group="study")


def compose(*overrides: str) -> Config:
    """Return the config that `minitx train` composes from these overrides.

    For example, `compose("model=lstm", "trainer.max_steps=200")`. With resume=<a run's folder>, it
    is that run's config with the other overrides applied. Raises UserError for an override that
    cannot be read, a key that does not exist (with the nearest one), and an invalid value.
    """
    register_schemas()
    overrides = tuple(renamed_overrides(overrides))
    try:
        config = to_typed(composed("config", overrides), Config, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(describe(error, Config, overrides)) from error
    return config if config.resume is None else resumed(config, list(overrides))


def composed(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Return `conf/<config_name>.yaml` with the overrides. Raises Hydra's errors."""
    outer = GlobalHydra.instance().hydra  # a command that composes further configs
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose(config_name, list(overrides))
    finally:
        GlobalHydra.instance().hydra = outer


def to_typed(composed: DictConfig, schema: type[Schema], overrides: Iterable[str] = ()) -> Schema:
    """Return the composed config as dataclasses, with every value checked and full paths.

    `overrides` are the user's. Raises UserError for a key that does not exist (with the nearest
    one), for an invalid value, for an override that sets an option which no mixer of the model has,
    and as `full_path`.
    """
    return full_paths(_checked(composed, schema, overrides))


def _checked(composed: DictConfig, schema: type[Schema], overrides: Iterable[str] = ()) -> Schema:
    known = known_keys(composed, schema)
    for name in _names(composed):
        if name not in known:
            raise unknown_key(name, known, schema)
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise UserError(describe(error, schema, list(overrides))) from error
    assert isinstance(config, schema)
    _check(config, "")
    model = getattr(config, "model", None)
    if isinstance(model, RecurrentConfig) and model.name != model.cell:
        raise UserError(f"model.cell={model.cell} needs model={model.cell}, not {model.name}")
    if isinstance(config, Config):
        check_mixers(config, overrides)
    return config


def to_plain(config: Any) -> dict[str, Any]:
    """Return a config as dicts of plain values, for checkpoints and YAML files."""
    return dataclasses.asdict(config)


def changed(group: Schema, change: Any) -> Schema:
    """Return a group of a run's keys, with the values of `change` that are not None."""
    said = {name: value for name, value in to_plain(change).items() if value is not None}
    return dataclasses.replace(group, **said)  # type: ignore


def from_plain(values: Any) -> Config:
    """Return the config that `to_plain` was given, with its paths as they are.

    Texts are taken as they are: nothing in them is replaced, such as ${oc.env:HOME}. Raises
    UserError if the values are not a config.
    """
    try:
        check_size(values)
        if not isinstance(values["model"], dict):
            raise TypeError("model is not a group of keys")
        model = MODELS[values["model"]["name"]]
        if not isinstance(values["model"].get("mixer", ""), str | list):
            raise TypeError("model.mixer is neither a name nor a list of names")
        merged = OmegaConf.merge(_defaults(model), literals(renamed(values)))
    except (*UNREADABLE, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"not a config of a minitx run ({reason})") from error
    assert isinstance(merged, DictConfig)
    return _checked(merged, Config)


def _defaults(model: type[ModelConfig]) -> DictConfig:
    """Return the defaults of a run with such a model. To read their types takes a while."""
    if model not in _DEFAULTS:
        _DEFAULTS[model] = OmegaConf.structured(Config(model=model()))
    return _DEFAULTS[model]


_DEFAULTS: dict[type[ModelConfig], DictConfig] = {}


def literal(text: str) -> str:
    """Escape a text so that OmegaConf reads "${" as it is, and not as an interpolation."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # backslashes count only before one


def in_quotes(text: str) -> str:
    """Return a text as the value of an override, in quotes, so that Hydra reads it as it is."""
    value = literal(text)
    # Inside quotes, backslashes count only before a quote: double those, and escape the quote.
    value = re.sub(r'(\\*)"', r'\1\1\\"', value)
    value = re.sub(r"(\\+)\Z", r"\1\1", value)
    return f'"{value}"'


def literals(values: Any) -> Any:
    """Return plain values with `literal` texts."""
    if isinstance(values, dict):
        return {name: literals(value) for name, value in values.items()}
    if isinstance(values, list):
        return [literals(value) for value in values]
    return literal(values) if isinstance(values, str) else values


def read_config(path: Path) -> Config:
    """Return the config in a run's config.yaml. Raises UserError if it is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
        check_first_line(text)
        values = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: {path.parent} is not a run's folder") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    try:
        return from_plain(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def resumed(asked: Config, overrides: list[str]) -> Config:
    """Return the config of the run in `asked.resume`, changed by the other overrides.

    `overrides` are those of the command line ("trainer.max_steps=4000", "logger=csv"). Raises
    UserError for an override that would make it a different run.
    """
    assert asked.resume is not None
    file = Path(asked.resume, "config.yaml")
    if not file.is_file():
        raise UserError(f"resume={asked.resume} is not a run's folder: it has no {file.name}")
    saved = full_paths(read_config(file))
    for override in overrides:
        name = key_of(override)
        group, *rest = name.split(".")
        if group not in CHANGED_ON_RESUME and name not in MOVED_ON_RESUME:
            old, new = _choice(saved, name), _choice(asked, name)
            is_key = hasattr(saved, group)  # an experiment is not a key: it sets several
            if is_key and old == new:
                continue
            change = f"{name} ({old} in the run, {new} asked for)" if is_key else name
            raise UserError(
                f"resume cannot change {change}: leave it out, or start a new run; only trainer.* "
                "and logger.* may change"
            )
        if group == "resume":
            continue
        # A choice (logger=csv) changes the keys that its file sets.
        for key in [".".join(rest)] if rest else _keys_set_by(group, override):
            new = _get(asked, f"{group}.{key}")
            if f"{group}.{key}" == "trainer.val_tokens" and saved.trainer.val_tokens != new:
                raise UserError(
                    "resume cannot change trainer.val_tokens: losses on different parts of val "
                    "would be compared; leave it out, or start a new run"
                )
            setattr(getattr(saved, group), key, new)
    saved.resume = asked.resume
    return saved


def _keys_set_by(group: str, override: str) -> list[str]:
    option = override.split("=", 1)[1]
    if option not in (offered := options(group)):
        raise UserError(
            f"{override}: with resume=, {group} is one of {', '.join(offered)}, or set single keys "
            f"({group}.KEY=VALUE)"
        )
    values = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8")) or {}
    return [name for name in values if name != "defaults"]


def _names(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, node):
        value = node._get_node(name)
        if isinstance(value, DictConfig) and not value._is_none() and not _is_free(value):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_free(node: DictConfig) -> bool:
    """Whether the node is a dict with the user's own keys, not a dataclass."""
    return node._metadata.object_type in (dict, None)


def _check(config: Any, prefix: str) -> None:
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            _check(value, f"{name}.")
        elif value is not None or "several" in field.metadata:
            _check_value(name, value, field.metadata)


def _check_value(name: str, value: Any, rules: typing.Mapping[str, Any]) -> None:
    if "choices" in rules:
        _check_choice(name, value, rules)
    # "not >=" rather than "<", so that NaN breaks every rule.
    if "minimum" in rules and not value >= rules["minimum"]:
        raise UserError(f"{name}={value}: it must be at least {rules['minimum']}")
    if "maximum" in rules and not value <= rules["maximum"]:
        raise UserError(f"{name}={value}: it must be at most {rules['maximum']}")
    if "above" in rules and not value > rules["above"]:
        raise UserError(f"{name}={value}: it must be above {rules['above']}")
    if "below" in rules and not value < rules["below"]:
        raise UserError(f"{name}={value}: it must be below {rules['below']}")
    if isinstance(value, int) and abs(value) >= LARGEST_INT:
        raise UserError(f"{name}={value}: it must be below 2**63")
    if isinstance(value, float) and not abs(value) < LARGEST_FLOAT:
        raise UserError(f"{name}={value}: it must be a finite number below {LARGEST_FLOAT:g}")


def _check_choice(name: str, value: Any, rules: typing.Mapping[str, Any]) -> None:
    choices, listed = rules["choices"], "several" in rules and isinstance(value, list)
    for each in value if listed else [value]:
        if each not in choices:
            where = f"{name}={as_typed(value)}: {each}: " if listed else f"{name}={value}: "
            several = ", or a list of them" if "several" in rules else ""
            raise UserError(f"{where}{one_of(str(each), choices)}{several}")


def _choice(config: Any, name: str) -> Any:
    """Return a key's value, or the option that was chosen for a group: "lstm" for model."""
    value = _get(config, name)
    return value.name if dataclasses.is_dataclass(value) and hasattr(value, "name") else value


def _get(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part, None)
    return config
