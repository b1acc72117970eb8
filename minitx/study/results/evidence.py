"""The evidence of a report: all that it is computed from, in one file that travels with it.

evidence.zip is a run store, reduced to what `collect` reads, with the study's study.json. It has no
trained weights and no paths of the machine, and equal results give equal bytes. Nothing in it is
executed: it holds JSON, YAML, CSV and arrays of numbers, each with a checksum.
"""

import csv
import dataclasses
import io
import shlex
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from minitx.config.checksums import file_checksum
from minitx.config.compose import read_config, to_plain
from minitx.config.paths import full_path, paths_of
from minitx.errors import DISK_FULL, UserError, short_reason
from minitx.metrics.decomposable import MEASURES
from minitx.runs.atomic_write import (
    write_atomically,
    write_bytes_atomically,
    write_checked_json,
    write_yaml,
    writing,
)
from minitx.runs.growing_file import read_checked, write_whole
from minitx.runs.paths import CONFIG, METRICS, SUMMARY
from minitx.study.measure.measuring import ITEMS
from minitx.study.plan.manifest import (
    EVIDENCE,
    MANIFEST,
    Manifest,
    PlannedRun,
    read_manifest,
    write_manifest,
)
from minitx.study.plan.run_store import MEASURED, RunStore, detail_file

MOST_BYTES = 2**30  # of an archive; a short one can unpack to more than the memory
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time of a file in a zip archive


def own_store(folder: Path, runs: str | Path | None) -> RunStore | None:
    """Return the run store of a study that was run here, or None if only its evidence is here.

    A report that was copied here has no study.json. It counts by its evidence, even if the store
    has some of its runs. `runs` is the store, by default that in study.json. Raises UserError if
    `folder` has neither.
    """
    if (folder / EVIDENCE).is_file() and not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    return RunStore(Path(full_path(runs or manifest.study.runs, "study.runs")))


def write_evidence(folder: Path, runs: str | Path | None) -> None:
    """Write the evidence of the study in `folder` from its run store.

    Evidence that was copied here stays as it is. Raises UserError as `own_store`, and WriteError.
    """
    store = own_store(folder, runs)
    if store is None:
        return
    manifest = read_manifest(folder)
    with writing(folder / EVIDENCE), TemporaryDirectory() as place:
        reduced = RunStore(Path(place))
        for run in manifest.runs:
            measured = manifest.measure if manifest.study.measures == "training" else None
            _copy(run, store, reduced, measured)
        write_manifest(reduced.root, _portable(manifest, store, folder))
        content = _zipped(reduced.root)
    write_bytes_atomically(folder / EVIDENCE, content)


@contextmanager
def unpacked(folder: Path) -> Iterator[Path]:
    """Unpack the evidence in `folder` for as long as the block lasts: study.json and a run store.

    Raises UserError if the evidence is damaged, also for what the block finds to be damaged, and if
    there is no room for it.
    """
    path = folder / EVIDENCE
    with _temporary_folder(path) as place:
        try:
            with zipfile.ZipFile(path) as archive:
                check_size(archive)
                archive.extractall(place)
        except Exception as error:  # damaged bytes make zipfile raise almost anything
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise _no_room(path, error) from error
            reason = short_reason(error)
            raise UserError(
                f"{path} is damaged ({reason}): get the report's files again"
            ) from error
        try:
            yield Path(place)
        except UserError as error:
            raise UserError(str(error).replace(place, str(path))) from error


def check_size(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if the files of an archive are larger than `MOST_BYTES` in all."""
    if sum(part.file_size for part in archive.infolist()) > MOST_BYTES:
        raise ValueError("it is larger than 1 GiB when it is unpacked")


def _temporary_folder(path: Path) -> "TemporaryDirectory[str]":
    try:
        return TemporaryDirectory()
    except OSError as error:
        raise _no_room(path, error) from error


def _no_room(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be unpacked ({error.strerror}): set TMPDIR to a folder with room for it"
    )


def _portable(manifest: Manifest, store: RunStore, folder: Path) -> Manifest:
    """Return the manifest with the run store as seen from `folder`, and without whole paths.

    The overrides of runs have many, and are needed for training only.
    """
    study = dataclasses.replace(
        manifest.study,
        dir=None,
        runs=relpath(store.root, folder),
        settings=[each for each in manifest.study.settings if not _has_whole_path(each)],
    )
    words = [each for each in shlex.split(manifest.command) if not _has_whole_path(each)]
    runs = [dataclasses.replace(run, words=[]) for run in manifest.runs]
    return dataclasses.replace(manifest, study=study, runs=runs, command=shlex.join(words))


def _has_whole_path(override: str) -> bool:
    """Return whether an override sets a whole path, which may be quoted."""
    return Path(override.partition("=")[2].strip("\"'")).is_absolute()


def _copy(run: PlannedRun, store: RunStore, reduced: RunStore, measure: str | None) -> None:
    """Copy what a report reads of a run. Several planned runs may share one.

    `measure` is the headline measure, None for a study of speed.
    """
    for name in (f"{run.key}.seconds.json", f"{run.key}.failed.json", f"{run.key}/{SUMMARY}"):
        if (store.root / name).is_file():
            write_atomically(reduced.root / name, (store.root / name).read_text(encoding="utf-8"))
    source, target = store.folder(run.key), reduced.folder(run.key)
    if measure:
        _copy_training(source, target)
    figures = store.figures(run.key)
    if not figures:
        return
    if measure and run.chosen and store.done(run):
        content = store.measurement(run.key, source / ITEMS)
        write_bytes_atomically(target / ITEMS, _reduced_items(content, measure))
        for name in run.details:
            file = detail_file(source, name)
            content = store.measurement(run.key, file)
            write_bytes_atomically(detail_file(target, name), content)
    files = sorted(set((target / MEASURED).parent.glob("*")) - {target / MEASURED})
    figures |= {"files": {file.name: file_checksum(file) for file in files}}
    write_checked_json(target / MEASURED, figures)


def _copy_training(source: Path, target: Path) -> None:
    """Copy a run's settings, without paths, and its metrics at every validation."""
    if (source / CONFIG).is_file():
        config = read_config(source / CONFIG)
        for name in paths_of(config):
            group, _, last = name.rpartition(".")
            setattr(getattr(config, group) if group else config, last, None)
        write_yaml(target / CONFIG, to_plain(config))
    if (source / METRICS).is_file():
        header, *rows = csv.reader(read_checked(source / METRICS).decode().splitlines())
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        of_val = header.index("val/loss") if "val/loss" in header else 0
        writer.writerows(row for row in rows if row[of_val])
        write_whole(target / METRICS, text.getvalue())


def _reduced_items(content: bytes, measure: str) -> bytes:
    """Return an .npz file without the terms of the measures that no report reads."""
    with np.load(io.BytesIO(content)) as arrays:
        kept = {name: arrays[name] for name in arrays if name == measure or name not in MEASURES}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **kept)
    return buffer.getvalue()


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            part = zipfile.ZipInfo(file.relative_to(folder).as_posix(), LONG_AGO)
            part.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(part, file.read_bytes(), compresslevel=9)
    return buffer.getvalue()
