"""A study from its question to its report: what is missing is trained, what is there is not."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from minitx.config.schema import CompareConfig, StudyConfig
from minitx.errors import UserError
from minitx.runs.paths import check_writable, make_folder
from minitx.study.plan.definition import seeds, study_folder
from minitx.study.plan.manifest import Manifest, PlannedRun, write_manifest
from minitx.study.plan.planner import Planner
from minitx.study.plan.run_store import RunStore
from minitx.study.results.results import Results
from minitx.study.run.checks import check_comparison, check_study
from minitx.study.run.watching import watching

Launch = Callable[[Sequence[str]], None]  # does the runs with these keys

LOCK = "study.lock"  # beside study.json, held by the process that plans
WAIT = 2.0  # seconds, where another study is at a run that is in this one too


def study(asked: CompareConfig, definition: StudyConfig, command: str, launch: Launch) -> Results:
    """Trains and measures what the study is made of, and gives what was found.

    `definition` is what was asked for, made out; `command` is what its report says to type again.

    Every arm, at every point of the grid, is first trained with each value of the sweep and the
    first seed. It gets the value with the lowest loss on val, and is trained with it from the other
    seeds. Only then is it tested. What the store holds already is not done again.

    Raises UserError for a study that cannot be done, before anything is trained.
    """
    from minitx.study.measure.measuring import NEEDED_BY
    from minitx.study.results.collecting import collect

    check_study(asked, definition)
    folder, store = study_folder(definition), RunStore(Path(definition.runs))
    planner = Planner(asked.task, definition)
    planner.check()
    details = [name for section in definition.sections for name in NEEDED_BY.get(section, [])]
    first, *others = seeds(asked)
    points, rates = planner.points, planner.rates
    total = len(points) * (len(rates) + len(others))
    manifest = Manifest(definition, asked.task.name, asked.preset, asked.task.headline, command)
    sweep = [[planner.run(point, rate, first) for rate in rates] for point in points]
    if len(rates) > 1:
        sweep = [[replace(run, swept=True) for run in runs] for runs in sweep]
    with _alone(folder):
        make_folder(store.root, f"study.runs={store.root}")
        check_writable(store.root, f"study.runs={store.root}")
        if len(rates) > 1:
            manifest.runs = [run for runs in sweep for run in runs]
            if _missing(manifest.runs, store):  # else study.json may hold the whole plan
                write_manifest(folder, manifest)
                _do(manifest.runs, store, launch, total)
        manifest.runs = []
        for runs in sweep:
            best = choose(runs, store)
            same_rate = [planner.run(best.point, best.rate, seed) for seed in others]
            counted = [replace(run, chosen=True, details=details) for run in [best, *same_rate]]
            manifest.runs += [run for run in runs if run is not best] + counted
        write_manifest(folder, manifest)
        _do(manifest.runs, store, launch, total)
    return collect(manifest, store)


def compare(asked: CompareConfig, overrides: list[str], command: str, launch: Launch) -> None:
    """What scripts/compare.py does: the study, or what there is of it, and its report.

    `overrides` are the words of the command line, `command` is the whole of it.
    """
    from minitx.study.results.collecting import open_study

    definition = check_comparison(asked, overrides)
    folder = study_folder(definition)
    launched: list[str] = []

    def counted(keys: Sequence[str]) -> None:
        launched.extend(keys)
        launch(keys)

    if asked.report_only:
        results = open_study(folder, definition.runs)
    else:
        results = study(asked, definition, command, counted)
    from minitx.study.report.files import write_report  # matplotlib takes its time
    from minitx.study.run.progress_text import publish, tell

    report = write_report(results, folder)
    tell(results, report, folder)
    if launched:
        publish(results, folder, asked.logger)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps the folder to this process. Raises UserError where another one has it."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process is at the study in {folder}: with report_only=true you see how far "
            "it is"
        ) from None
    except OSError as error:
        raise UserError(f"study.dir={folder} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def choose(runs: list[PlannedRun], store: RunStore) -> PlannedRun:
    """The run with the lowest loss on val; the first where none has finished.

    A run that failed is not chosen while another has finished.
    """
    losses = [store.summary(run.key).get("metrics", {}).get("val/loss") for run in runs]
    finished = [
        (loss, number)
        for number, (run, loss) in enumerate(zip(runs, losses, strict=True))
        if store.trained(run.key) and loss is not None
    ]
    return runs[min(finished)[1] if finished else 0]


def _do(runs: list[PlannedRun], store: RunStore, launch: Launch, total: int) -> None:
    """Has those done that are missing; those that fail, once more.

    Raises UserError where some are left that neither ran nor failed: no choice is made without
    them.
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
                    f"the launcher left {len(keys)} of {total} runs undone: start this again when "
                    "its jobs are through"
                )
            time.sleep(WAIT)  # another study is at them


def _missing(runs: list[PlannedRun], store: RunStore) -> list[PlannedRun]:
    return [run for run in runs if not store.done(run) and not store.given_up(run.key)]
