"""Data that is shipped inside an installed package."""

import importlib.util
from pathlib import Path

from minitx.errors import UserError


def package_folder(name: str, version: str) -> Path:
    """Where an installed package lies. Its code, often slow to import, is not run.

    Raises UserError where the package is missing, saying which version to install.
    """
    package = importlib.util.find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise UserError(f"the package {name} is missing: {install(name, version)}")
    return Path(package.submodule_search_locations[0])


def is_installed(name: str) -> bool:
    """Whether a package is there. Its code is not run."""
    return importlib.util.find_spec(name) is not None


def install(name: str, version: str) -> str:
    """The command that installs a package."""
    return f"pip install {name}=={version}"
