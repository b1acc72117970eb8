"""A folder that one process fills once, either completely or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from minitx.data.progress import announced
from minitx.errors import UserError

Found = TypeVar("Found")


def cached(
    folder: Path, load: Callable[[Path], Found | None], build: Callable[[Path], None]
) -> Found:
    """Return what `load` reads from `folder`, after `build` has filled the folder if necessary.

    `load` returns None if the folder is missing or damaged. Then `build` fills an empty folder,
    which replaces it. Processes that start together wait for the first. The remains of a killed
    process do no harm. A finished folder is only read.

    Raises UserError if the cache cannot be written.
    """
    found = load(folder)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        with announced("waiting for another process that tokenises the same corpus"):
            lock.acquire()
        try:
            found = load(folder)
            if found is None:
                _fill(folder, build)
                found = load(folder)
        finally:
            lock.release()
    except OSError as error:
        why = error.strerror or "the disk is full"  # numpy only counts what it could write
        raise UserError(
            f"cannot write {folder.parent} ({why}): "
            "give another folder with data.cache_dir=DIR or MINITX_CACHE"
        ) from error
    assert found is not None
    return found


def _fill(folder: Path, build: Callable[[Path], None]) -> None:
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        build(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
