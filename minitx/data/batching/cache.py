"""A folder that one process fills once, either completely or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from minitx.config.checksums import file_checksum
from minitx.data.progress import announced
from minitx.errors import UserError

Found = TypeVar("Found")

CHECKSUMS = "checksums.json"  # of all other files of the folder


def cached(
    folder: Path, load: Callable[[Path], Found | None], build: Callable[[Path], None]
) -> Found:
    """Return what `load` reads from `folder`, after `build` has filled the folder if necessary.

    The folder is damaged if `load` fails or returns None, or if a file does not have its checksum:
    all files are read once, at a few GB/s. Then `build` fills an empty folder, which replaces it.
    Processes that start together wait for the first. The remains of a killed process do no harm. A
    finished folder is only read.

    Raises UserError if the cache cannot be written.
    """
    found = _load(folder, load)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        with announced("waiting for another process that tokenises the same corpus"):
            lock.acquire()
        try:
            found = _load(folder, load)
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


def _load(folder: Path, load: Callable[[Path], Found | None]) -> Found | None:
    """Return what `load` reads, or None if the folder is missing or damaged."""
    try:
        found = load(folder)
        if found is not None and (folder / CHECKSUMS).exists():  # earlier versions wrote none
            stored = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
            return found if stored == _checksums(folder) else None
    except Exception:  # damaged bytes make numpy and json raise almost anything
        return None
    return found


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    return {path.name: file_checksum(path) for path in files}


def _fill(folder: Path, build: Callable[[Path], None]) -> None:
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        build(building)
        checksums = json.dumps(_checksums(building), indent=2)
        (building / CHECKSUMS).write_text(checksums, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
