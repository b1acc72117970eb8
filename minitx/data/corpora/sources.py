"""Where the corpus of each task comes from: each module here registers its own."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from minitx.config.paths import check_readable
from minitx.config.registry import Registry
from minitx.config.schema import Config
from minitx.data.lines import is_stream
from minitx.errors import UserError


@dataclass(frozen=True)
class Source:
    """How a corpus is opened, and how to tell that it is missing.

    `check` reads no more than the beginning of the files. Both raise UserError for a corpus that
    cannot be read.
    """

    open: Callable[[Config], Any]
    check: Callable[[Config], object]


SOURCES: Registry[Source] = Registry("corpus")


def source_of(config: Config) -> Source:
    """Return the source of the config's task, which must not be synthetic."""
    task = config.task.spec
    import_module(f"minitx.data.corpora.{task.corpora or task.objective.corpora}")
    return SOURCES[task.name]


def corpora_folder(config: Config) -> Path | None:
    """Return the folder that holds the published corpora."""
    return Path(config.data.dir) if config.data.dir else None


def own_file(config: Config, example: str) -> Path:
    """Return the user's file. Raises UserError if none was named, and as `check_file`."""
    if config.data.path is None:
        raise UserError(f"task={config.task.name} needs your file: data.path={example}")
    return check_file("data.path", config.data.path)


def check_file(key: str, name: str) -> Path:
    """Return the file that a key names. Raises UserError if it cannot be read, or is a stream.

    A corpus is read several times, and again when a run is resumed or evaluated.
    """
    path = Path(name)
    if is_stream(path):
        raise UserError(
            f"{key}={name} can be read only once, and a corpus is read several times: write it "
            f"to a file, and give {key}=FILE"
        )
    check_readable(name, key)
    return path
