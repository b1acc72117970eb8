"""Tab completion: command names, keys, and their values.

Hydra's own completion registers the shell function (`-sc install=bash`), which calls the command
with `-sc query=bash` and the typed line in COMP_LINE. The answers come from here, because Hydra's
offer the current value instead of the possible ones, and internal schemas.
"""

import os
import re
import typing
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from minitx.commands.command import Command
from minitx.commands.quoting import quoted
from minitx.commands.table import COMMANDS
from minitx.config.compose import composed
from minitx.config.fields import as_typed
from minitx.config.keys import keys, model_schema, options
from minitx.config.paths import full_path

CONFIG_FLAGS = ("--config-dir", "-cd")  # followed by a folder of the user's own
JOINED = "--config-dir="


def complete_line(line: str, command: Command | None) -> list[str]:
    """Return how the last word of a typed line may continue.

    `command` is None if the line begins with `minitx`. A script's line begins with `python <file>`.
    """
    words = re.split(r"\s+", line.lstrip())
    start = 1
    if command is not None:
        start = next((i for i, word in enumerate(words, 1) if word.endswith(".py")), 1)
    *before, word = words[start:] or [""]
    if command is None:
        if not before:
            return [name for name in COMMANDS if name.startswith(word)]
        command = COMMANDS.get(before.pop(0))
    if command is None or command.schema is None:
        return []
    name, equals, value = word.partition("=")
    if equals:
        return [f"{name}={each}" for each in _values(command, before, name, value)]
    return sorted(_next_parts(word, _names(command, before)))


def config_folders(words: Sequence[str]) -> list[str]:
    """Return the user's own config folders: what the words give as --config-dir."""
    joined = [word.removeprefix(JOINED) for word in words if word.startswith(JOINED)]
    return joined + [folder for flag, folder in pairwise(words) if flag in CONFIG_FLAGS]


def with_full_folders(words: Sequence[str]) -> list[str]:
    """Return the words with the full paths of the user's own config folders."""
    found = []
    for flag, word in pairwise(["", *words]):
        if flag in CONFIG_FLAGS:
            word = full_path(word, flag)
        elif word.startswith(JOINED):
            word = JOINED + full_path(word.removeprefix(JOINED), CONFIG_FLAGS[0])
        found.append(word)
    return found


def _names(command: Command, before: list[str]) -> dict[str, typing.Any]:
    """Return the keys and groups that can be set, each with its field or None for a group."""
    assert command.schema is not None
    found = dict(keys(command.schema, model_schema(before)))
    above = {name.rpartition(".")[0] for name in found}
    return {name: field for name, field in found.items() if name not in above} | dict.fromkeys(
        command.groups
    )


def _next_parts(word: str, names: Iterable[str]) -> set[str]:
    """Return the names that begin with `word`, each up to its next dot."""
    rest = [name[len(word) :] for name in names if name.startswith(word)]
    return {word + (part.partition(".")[0] + "." if "." in part else f"{part}=") for part in rest}


def _values(command: Command, before: list[str], name: str, value: str) -> list[str]:
    """Return the values of a key that begin with `value`."""
    names = _names(command, before)
    if name not in names:
        return []
    if name in command.paths:
        return _files(value)
    field = names[name]
    if field is None:
        found = options(name, *config_folders(before))
    elif "choices" in field.metadata:
        found = list(field.metadata["choices"])
    elif bool in (typing.get_args(field.type) or (field.type,)):
        found = ["true", "false"]
    else:
        found = _current(command, before, name)
    return [each for each in found if each.startswith(value)]


def _current(command: Command, before: list[str], name: str) -> list[str]:
    """Return the value that a key has now; nothing if the words before it do not compose."""
    overrides = [quoted(word) for word in before if "=" in word and not word.startswith("-")]
    with suppress(HydraException, OmegaConfBaseException):
        return [as_typed(OmegaConf.select(composed(command.register(), overrides), name))]
    return []


def _files(start: str) -> list[str]:
    """Return the files and folders whose path begins with `start`."""
    folder, slash, name = start.rpartition("/")
    with suppress(OSError):
        found = sorted(Path(os.path.expanduser(folder + slash) or ".").iterdir())
        shown = [each.name + "/" * each.is_dir() for each in found if each.name.startswith(name)]
        return [folder + slash + each for each in shown if not re.search(r"\s", each)]
    return []
