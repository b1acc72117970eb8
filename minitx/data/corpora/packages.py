"""Data inside an installed package."""

import importlib.util
from pathlib import Path

from minitx.errors import UserError


def package_folder(name: str, version: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises UserError with the version to install if the package is missing.
    """
    package = importlib.util.find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise UserError(f"the package {name} is missing: {install(name, version)}")
    return Path(package.submodule_search_locations[0])


def is_installed(name: str) -> bool:
    """Return whether a package is installed, without importing it."""
    return importlib.util.find_spec(name) is not None


def install(name: str, version: str) -> str:
    """Return the command that installs a package."""
    return f"pip install {name}=={version}"
