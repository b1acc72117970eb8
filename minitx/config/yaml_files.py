"""How Hydra reads YAML files here: with renamed keys under their new names."""

from pathlib import PurePosixPath

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from minitx.config.renames import renamed
from minitx.errors import UserError


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's reader of YAML files, which gives renamed keys their new names.

    It has the name of Hydra's own reader. In the processes of a launcher, Hydra registers its own
    reader after this one, and then keeps this one, because it compares names.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        try:
            result = super().load_config(config_path)
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            file = PurePosixPath(self.path, self._normalize_file_name(config_path))
            said = str(error) if isinstance(error, yaml.YAMLError) else "it is not UTF-8"
            raise UserError(f"{file} cannot be read: {' '.join(said.split())}") from None
        package = result.header.get("package") or "_group_"
        folder = ".".join(PurePosixPath(config_path).parent.parts)
        group = {"_group_": folder, "_global_": ""}.get(package, package)
        values = OmegaConf.to_container(result.config)
        if (new := renamed(values, group=group)) != values:
            result.config = OmegaConf.create(new)
        return result


def rename_in_files() -> None:
    """Make Hydra read every YAML file through this `FileConfigSource`."""
    Plugins.instance()  # registers Hydra's own reader, which is replaced here
    SourcesRegistry.instance().types["file"] = FileConfigSource
