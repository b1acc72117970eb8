"""Read the results of a study from its folder and its runs."""

import io
import zipfile
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minitx.config.compose import read_config
from minitx.config.paths import full_path
from minitx.errors import UserError, short_reason
from minitx.metrics.decomposable import MEASURES
from minitx.runs.growing_file import read_checked
from minitx.runs.paths import CONFIG, METRICS
from minitx.study.measure.measuring import CLUSTERS, ITEMS
from minitx.study.plan.manifest import Manifest, PlannedRun, read_manifest
from minitx.study.plan.run_store import RunStore, detail_file
from minitx.study.results.evidence import check_size, own_store, unpacked
from minitx.study.results.results import FAILED, FINISHED, MISSING, SEVERAL, Results
from minitx.study.results.settings import Settings, settings_of

SUMMARISED = (
    *("parameters", "parameters_non_embedding", "steps", "tokens_seen", "train_seconds"),
    *("cpu_seconds", "threads", "ended_by"),
    *("tokens_per_second", "peak_memory_mb", "data_fingerprint", "git_commit"),
)


def open_study(folder: str | Path, runs: str | Path | None = None) -> Results:
    """Return the results of a study so far. `results.runs` is a table of its runs.

    `runs` is the run store, by default the one that the study was started with. A report that was
    copied without its runs is read from its evidence. Raises UserError if there is no study in
    `folder`, if another version wrote it, or if the evidence is damaged.
    """
    folder = Path(full_path(folder, "study.dir"))
    store = own_store(folder, runs)
    if store is not None:
        return collect(read_manifest(folder), store)
    with unpacked(folder) as place:
        manifest = read_manifest(place)
        results = collect(manifest, RunStore(place))
    folders = [normpath(folder / manifest.study.runs / key) for key in results.runs["key"]]
    return replace(results, runs=results.runs.assign(folder=folders))


def collect(manifest: Manifest, store: RunStore) -> Results:
    """Return the results of the study with this manifest."""
    rows, curves = [], []
    items: dict[str, np.ndarray] = {}
    clusters: dict[str, np.ndarray] = {}
    details: dict[str, dict[str, pd.DataFrame]] = {}
    settings: dict[str, Settings] = {}
    measure = MEASURES.get(manifest.measure)
    if measure is None:
        raise UserError(f"measure {manifest.measure!r}: there are only {', '.join(MEASURES)}")
    for run in manifest.runs:
        row = _row(run, store, manifest.study.measures)
        rows.append(row)
        if row["status"] == MISSING or manifest.study.measures == "speed":
            continue
        folder = store.folder(run.key)
        curves.append(_curve(run.key, folder))
        if row["status"] == FINISHED and run.chosen:
            content = store.measurement(run.key, folder / ITEMS)
            arrays = _items(folder / ITEMS, content, measure.name)
            items[run.key] = arrays[measure.name]
            if CLUSTERS in arrays:  # earlier versions wrote none
                clusters[run.key] = arrays[CLUSTERS]
            if run.point.arm not in settings:
                settings[run.point.arm] = settings_of(read_config(folder / CONFIG))
            files = {name: detail_file(folder, name) for name in run.details}
            details[run.key] = {
                name: _table(file, store.measurement(run.key, file)) for name, file in files.items()
            }
    table = pd.DataFrame(rows)
    return Results(
        study=manifest.study,
        task=manifest.task,
        preset=manifest.preset,
        measure=measure,
        runs=table,
        curves=pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
        items=items,
        details=details,
        settings=settings,
        command=manifest.command,
        facts=_facts(manifest, store, table),
        clusters=clusters,
    )


def _facts(manifest: Manifest, store: RunStore, runs: pd.DataFrame) -> dict[str, str]:
    """The machines and the code of the runs; if they differ, all of them."""
    figures = [store.figures(run.key) for run in manifest.runs]
    machines = pd.DataFrame([each["machine"] for each in figures if "machine" in each])
    found = {name: list(machines[name].dropna().astype(str)) for name in machines}
    finished = runs[runs["status"] == FINISHED]
    if "git_commit" in runs:
        commits = finished["git_commit"]
        found["commit"] = [_commit(c) if isinstance(c, str) else "unknown" for c in commits]
    if "measuring_commit" in runs:  # earlier versions wrote none
        measuring = finished["measuring_commit"].dropna()
        found["commit of the measurements"] = list(map(_commit, measuring))
    return {name: SEVERAL.join(dict.fromkeys(values)) for name, values in found.items() if values}


def _commit(known: str) -> str:
    """Shorten the hash of a commit, and keep what follows it."""
    commit, space, rest = known.partition(" ")
    return f"{commit[:12]}{space}{rest}"


def _row(run: PlannedRun, store: RunStore, kind: str) -> dict[str, Any]:
    summary, figures = store.summary(run.key), store.figures(run.key)
    failure, done = store.failure(run.key), store.done(run)
    status = FINISHED if done else FAILED if failure else MISSING
    row: dict[str, Any] = {
        "key": run.key,
        "folder": str(store.folder(run.key)),
        "status": status,
        "reason": "" if done else failure.get("reason", ""),
        "arm": run.point.arm,
        **run.point.at,
        **run.swept_values,
        "seed": run.seed,
        "swept": run.swept,
        "chosen": run.chosen,
    }
    if not done:
        return row
    row["seconds"] = store.seconds(run.key)
    row |= {name: summary[name] for name in SUMMARISED if name in summary}
    row |= summary.get("metrics", {})
    metrics = figures.pop("metrics", {})
    row |= {f"test/{name}": value for name, value in metrics.items()} if run.chosen else {}
    apart = ("intervals", "machine", "files")
    return row | {name: value for name, value in figures.items() if name not in apart}


def _curve(key: str, folder: Path) -> pd.DataFrame:
    """The metrics at every validation."""
    path = folder / METRICS
    table = _table(path, read_checked(path)) if path.is_file() else pd.DataFrame()
    if "val/loss" not in table:
        return pd.DataFrame({"key": []})
    kept = ("step", "tokens_seen", "train_seconds")
    names = [name for name in table if name in kept or name.startswith("val/")]
    try:
        return table.loc[table["val/loss"].notna(), names].astype(float).assign(key=key)
    except ValueError as error:
        raise _damaged(path, error) from error


def _table(path: Path, content: bytes) -> pd.DataFrame:
    """Return a table of a .csv file. Raises UserError if the content cannot be parsed."""
    try:
        return pd.read_csv(io.BytesIO(content)) if content else pd.DataFrame()
    except (ValueError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from error


def _items(path: Path, content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the terms of a measure and, if the file has them, the clusters of the items.

    Raises UserError if the content of the .npz file is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_size(archive)
        with np.load(io.BytesIO(content)) as arrays:
            return {name: arrays[name]} | {key: arrays[key] for key in arrays if key == CLUSTERS}
    except Exception as error:  # damaged bytes make numpy raise almost anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    """Return the error for a file of a run, or of its measurements, that cannot be read."""
    again = "measured" if path.parent.name == ITEMS.parent.name else "trained"
    return UserError(
        f"{path} is damaged ({short_reason(error)}): delete {path.parent}, and the run will be "
        f"{again} again"
    )
