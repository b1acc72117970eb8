"""How Hydra reads YAML files here: with renamed keys under their new names, and without code."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path, PurePosixPath
from typing import Any, Self

import yaml
from hydra._internal.core_plugins import file_config_source, structured_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from minitx.config.keys import CONF
from minitx.config.renames import renamed
from minitx.errors import UserError, short_reason

MOST_VALUES = 10_000  # in a config; it has about a hundred

# Hydra's own keys that a file may set. The others choose code: callbacks, logging, search paths.
OF_HYDRA = ("launcher", "mode", "output_subdir", "run", "sweep", "sweeper")


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's reader of YAML files, which gives renamed keys their new names.

    It has the name of Hydra's own reader. In the processes of a launcher, Hydra registers its own
    reader after this one, and then keeps this one, because it compares names.

    Loading raises UserError for a file of the user (--config-dir) that is not YAML, or that chooses
    code by its import path: it may come from a stranger.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        file = Path(self.path, self._normalize_file_name(config_path))
        if Path(self.path) != CONF or not file.is_file():
            return self._read(config_path, file)
        # Hydra composes twice for each command, a study for each of its models.
        version = file, file.stat().st_mtime_ns
        if version not in _SHIPPED:
            _SHIPPED[version] = self._read(config_path, file)
        return deepcopy(_SHIPPED[version])  # Hydra changes what it gets

    def _read(self, config_path: str, file: Path) -> ConfigResult:
        users = Path(self.path) != CONF
        if users and file.is_file():
            _check_yaml(file)
        result = super().load_config(config_path)
        package = result.header.get("package") or "_group_"
        folder = ".".join(PurePosixPath(config_path).parent.parts)
        group = {"_group_": folder, "_global_": ""}.get(package, package)
        values = OmegaConf.to_container(result.config)
        if users:
            _check_names(file, group, values)
        if (new := renamed(values, group=group)) != values:
            result.config = OmegaConf.create(new)
        return result


class StructuredConfigSource(structured_config_source.StructuredConfigSource):
    """Hydra's reader of schemas, which is not copied.

    Hydra copies its readers before it composes a config, and with this one all schemas. It copies
    each schema again when it reads it.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


_SHIPPED: dict[tuple[Path, int], ConfigResult] = {}  # conf/, by file and time of its change


def rename_in_files() -> None:
    """Make Hydra read every YAML file through this `FileConfigSource`."""
    Plugins.instance()  # registers Hydra's own readers, which are replaced here
    readers = SourcesRegistry.instance().types
    readers["file"], readers["structured"] = FileConfigSource, StructuredConfigSource


def check_size(values: Any) -> None:
    """Raise ValueError for more values than a config has.

    A short file can hold very many: YAML and pickles can name one value in several places.
    """
    left = [values]
    for _ in range(MOST_VALUES):
        if not left:
            return
        value = left.pop()
        if isinstance(value, dict | list | tuple):
            left.extend(value.values() if isinstance(value, dict) else value)
    raise ValueError(f"it has over {MOST_VALUES:,} values")


def _check_yaml(file: Path) -> None:
    try:
        check_size(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = short_reason(error)
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8"
        raise UserError(f"{file} cannot be read: {reason}") from error


def _check_names(file: Path, group: str, values: Any) -> None:
    """Raise UserError if a file sets a key that names code."""
    for name in _names(values, group):
        parts = name.split(".")
        if parts[-1] == "_target_" or (parts[0] == "hydra" and parts[1:2] not in _ALLOWED):
            raise UserError(
                f"{file} sets {name}: no file may choose code; of hydra, it may set "
                f"{', '.join(OF_HYDRA)}"
            )


_ALLOWED = ([], *([part] for part in OF_HYDRA))


def _names(values: Any, path: str) -> Iterator[str]:
    """Yield the dotted names of all keys in nested values."""
    items = values.items() if isinstance(values, dict) else ()
    for name, value in items:
        below = f"{path}.{name}" if path else str(name)
        yield below
        yield from _names(value, below)
    for value in values if isinstance(values, list) else ():
        yield from _names(value, path)
