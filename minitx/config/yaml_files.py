"""How Hydra reads YAML files here: with renamed keys under their new names."""

from pathlib import PurePosixPath

from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from minitx.config.renames import renamed


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's reader of YAML files, which gives renamed keys their new names.

    It has the name of Hydra's own reader. In the processes of a launcher, Hydra registers its own
    reader after this one, and then keeps this one, because it compares names.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        result = super().load_config(config_path)
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
