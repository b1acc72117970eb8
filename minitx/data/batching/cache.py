"""A folder that is filled once, whole or not at all, by whichever process comes first."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from minitx.errors import UserError

Found = TypeVar("Found")


def cached(
    folder: Path, load: Callable[[Path], Found | None], build: Callable[[Path], None]
) -> Found:
    """What `load` finds in `folder`, once `build` has filled it.

    `load` gives None for a folder that is missing or damaged; such a one is made anew. `build`
    fills an empty folder beside it, which then takes its place. Processes that start together wait
    for the first; what a killed one left half done does no harm. A finished folder is only read.

    Raises UserError where the cache cannot be written.
    """
    found = load(folder)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            found = load(folder)
            if found is None:
                _fill(folder, build)
                found = load(folder)
    except OSError as error:
        raise UserError(
            f"cannot write {folder.parent} ({error.strerror}): "
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
