"""Paths that users give, made absolute before anything is checked or written.

A key of the schema whose value is a path says so (`key(..., path=True)`). `full_paths` completes
all of them, whether they come from the command line, a YAML file or Python. So a run can be found
again from another working folder, and messages name the whole path.
"""

import dataclasses
import errno
import os
import stat
from typing import Any, TypeVar

from minitx.errors import UserError

AnyConfig = TypeVar("AnyConfig")

# Files that a process opens by number. Their links lead to names such as "pipe:[1234]", which
# cannot be opened.
OF_THE_SYSTEM = ("/dev/", "/proc/")


def full_paths(config: AnyConfig, prefix: str = "") -> AnyConfig:
    """Complete every path in a config, in place, and return the config.

    An empty path counts as none. The names of keys in errors begin with `prefix`. Raises UserError
    as `full_path`.
    """
    for name, (group, attribute) in _path_keys(config, prefix).items():
        path = getattr(group, attribute)
        if path is not None:
            setattr(group, attribute, full_path(path, name) if str(path) else None)
    return config


def paths_of(config: Any) -> dict[str, str | None]:
    """Return every path in a config by the name of its key."""
    return {name: getattr(*place) for name, place in _path_keys(config).items()}


def is_path(field: dataclasses.Field[Any]) -> bool:
    """Return whether the value of a key is a path."""
    return "path" in field.metadata


def full_path(path: str | os.PathLike[str], name: str) -> str:
    """Return the absolute path, with ~ expanded, and links and ".." resolved.

    A link to a file keeps its own name if the file has another suffix, because the suffix says what
    is in it. So does a link that leads nowhere. A path under /dev or /proc stays as it is.

    Raises UserError, which calls the path `name`, if there is no home folder or no working folder,
    and for a path that no file can have.
    """
    given = os.fspath(path)
    _check_possible(given, name)
    expanded = os.path.expanduser(given)
    if expanded.split("/")[0] == "~":
        raise UserError(f"{name}={given}: ~ is unknown, as HOME is not set: write the full path")
    if expanded.startswith(OF_THE_SYSTEM):
        return expanded
    whole = expanded if os.path.isabs(expanded) else os.path.join(working_folder(), expanded)
    folder, last = os.path.split(whole.rstrip("/") or "/")
    kept, target = os.path.join(os.path.realpath(folder), last), os.path.realpath(whole)
    if not os.path.islink(kept) or os.path.isdir(target):
        return target
    return target if os.path.isfile(target) and _suffix(target) == _suffix(kept) else kept


def working_folder() -> str:
    """Return the current folder. Raises UserError if it no longer exists."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder no longer exists: go to another one") from None


def check_readable(path: str, name: str) -> None:
    """Raise UserError, which calls the file `name`, if it is missing, a folder or not readable.

    The file is not opened: what a pipe holds can be read only once.
    """
    path = os.path.abspath(path)  # an old run's may be relative
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            reason = f"{os.strerror(errno.EISDIR)}, give a file"
        elif not os.access(path, os.R_OK):
            reason = os.strerror(errno.EACCES)
        else:
            return
    except OSError as error:
        reason = str(error.strerror)
    if os.path.islink(path):
        reason += f" (it is a link to {os.readlink(path)})"
    raise UserError(f"{name}={path} cannot be read: {reason}")


def _path_keys(config: Any, prefix: str = "") -> dict[str, tuple[Any, str]]:
    """Return the names of the keys that are paths, each with the dataclass and field it is in."""
    found: dict[str, tuple[Any, str]] = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            found |= _path_keys(value, f"{name}.")
        elif is_path(field):
            found[name] = config, field.name
    return found


def _check_possible(path: str, name: str) -> None:
    try:
        os.lstat(path)
    except ValueError:  # it has a null byte, or half of a surrogate pair
        raise UserError(f"{name}={path!a}: no file can have this name") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{name}={path[:60]}...: {error.strerror}") from None


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
