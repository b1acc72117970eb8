"""Run a study: train and measure the runs that are missing, and write the report."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from minitx.config.schema import CompareConfig, StudyConfig
from minitx.data.progress import announced
from minitx.errors import UserError, WriteError
from minitx.runs.paths import check_writable, make_folder
from minitx.study.plan.definition import seeds, study_folder
from minitx.study.plan.manifest import Manifest, PlannedRun, write_manifest
from minitx.study.plan.planner import Planner
from minitx.study.plan.run_store import RunStore
from minitx.study.report.sections import details_of
from minitx.study.results.collecting import collect, open_study
from minitx.study.results.results import Results
from minitx.study.run.watching import watching

Launch = Callable[[Sequence[str]], None]  # performs the runs with these keys

LOCK = "study.lock"  # next to study.json, held by the process that plans
WAIT = 2.0  # seconds between checks of a run that another study is doing


def run_study(
    asked: CompareConfig, definition: StudyConfig, command: str, launch: Launch
) -> Results:
    """Train and measure the runs of the study that the run store lacks, and return the results.

    `command` is the command line that repeats the study.

    Every arm, at every point of the grid, is first trained with each value of the sweep and the
    first seed. It gets the value with the lowest loss on val, and is trained with this value and
    the other seeds. Only then is it tested.

    Raises UserError if the study cannot be done, before anything is trained.
    """
    folder, store = study_folder(definition), RunStore(Path(definition.runs))
    planner = Planner(asked.task, definition)
    planner.check()
    details = details_of(definition.sections)
    first, *others = seeds(asked)
    points, choices = planner.points, planner.choices
    total = len(points) * (len(choices) + len(others))
    manifest = Manifest(definition, asked.task.name, asked.preset, asked.task.headline, command)
    sweep = [[planner.run(point, choice, first) for choice in choices] for point in points]
    if len(choices) > 1:
        sweep = [[replace(run, swept=True) for run in runs] for runs in sweep]
    with _alone(folder):
        make_folder(store.root, f"study.runs={store.root}")
        check_writable(store.root, f"study.runs={store.root}")
        if len(choices) > 1:
            manifest.runs = [run for runs in sweep for run in runs]
            if _missing(manifest.runs, store):  # else study.json may have the whole plan
                write_manifest(folder, manifest)
                _do(manifest.runs, store, launch, total)
        manifest.runs = []
        for runs in sweep:
            best = choose(runs, store)
            repeated = [planner.run(best.point, best.swept_values, seed) for seed in others]
            counted = [replace(run, chosen=True, details=details) for run in [best, *repeated]]
            manifest.runs += [run for run in runs if run is not best] + counted
        write_manifest(folder, manifest)
        _do(manifest.runs, store, launch, total)
    return collect(manifest, store)


def run_and_report(
    asked: CompareConfig, definition: StudyConfig, command: str, launch: Launch
) -> None:
    """Run the study, or with `report_only` read its results, and write its report.

    `definition` is what `check_comparison` returned, `command` the command line.
    """
    try:
        _run_and_report(asked, definition, command, launch)
    except WriteError as error:
        raise error.advising(f"free some space, then go on: {command}") from error


def _run_and_report(
    asked: CompareConfig, definition: StudyConfig, command: str, launch: Launch
) -> None:
    folder = study_folder(definition)
    launched: list[str] = []

    def counted(keys: Sequence[str]) -> None:
        launched.extend(keys)
        launch(keys)

    if asked.report_only:
        results = open_study(folder, definition.runs)
    else:
        results = run_study(asked, definition, command, counted)
    from minitx.study.report.files import write_report  # imports matplotlib, which is slow
    from minitx.study.run.progress_text import publish, show

    with announced("writing the report"):
        report = write_report(results, folder)
    show(results, report, folder)
    if launched:
        publish(results, folder, asked.logger)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder. Raises UserError if another process has locked it."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process is running the study in {folder}: report_only=true shows its results "
            "so far"
        ) from None
    except OSError as error:
        raise UserError(f"study.dir={folder} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def choose(runs: list[PlannedRun], store: RunStore) -> PlannedRun:
    """Return the finished run with the lowest loss on val, or the first run if none finished."""
    losses = [store.summary(run.key).get("metrics", {}).get("val/loss") for run in runs]
    finished = [
        (loss, number)
        for number, (run, loss) in enumerate(zip(runs, losses, strict=True))
        if store.trained(run.key) and loss is not None
    ]
    return runs[min(finished)[1] if finished else 0]


def _do(runs: list[PlannedRun], store: RunStore, launch: Launch, total: int) -> None:
    """Launch the missing runs, and those that fail once more.

    Raises UserError if the launcher leaves runs that neither finished nor failed, because nothing
    is chosen without them.
    """
    if not _missing(runs, store):
        return
    with watching(runs, store, total):
        while left := _missing(runs, store):
            keys = list(dict.fromkeys(run.key for run in left))  # arms may share runs
            before = [store.failure(key) for key in keys]
            launch(keys)
            if before != [store.failure(key) for key in keys] or any(map(store.done, left)):
                continue
            if not any(map(store.busy, keys)):
                raise UserError(
                    f"the launcher left {len(keys)} of {total} runs unfinished: run this command "
                    "again when its jobs have ended"
                )
            time.sleep(WAIT)  # another study is doing them


def _missing(runs: list[PlannedRun], store: RunStore) -> list[PlannedRun]:
    return [run for run in runs if not store.done(run) and not store.given_up(run.key)]
