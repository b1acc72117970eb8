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
from minitx.study.plan.definition import Point, Values, seeds, study_folder, sweep_seed, task_of
from minitx.study.plan.manifest import Manifest, PlannedRun, write_manifest
from minitx.study.plan.planner import Planner
from minitx.study.plan.run_store import RunStore
from minitx.study.plan.widening import further
from minitx.study.report.sections import details_of
from minitx.study.results.collecting import collect, open_study
from minitx.study.results.evidence import write_evidence
from minitx.study.results.results import Results
from minitx.study.results.sweep import rank
from minitx.study.run.watching import watching
from minitx.terminal.text import note

Launch = Callable[[Sequence[str]], None]  # performs the runs with these keys

LOCK = "study.lock"  # next to study.json, held by the process that plans
WAIT = 2.0  # seconds between checks of a run that another study is doing


def run_study(
    asked: CompareConfig, definition: StudyConfig, command: str, launch: Launch
) -> Results:
    """Train and measure the runs of the study that the run store lacks, and return the results.

    `command` is the command line that repeats the study.

    Every arm, at every point of the grid, is first trained with each value of the sweep and a seed
    of its own. The full preset widens the sweep of an arm whose best value is at the edge. The arm
    gets the value with the lowest loss on val, or that reaches `trainer.goal` soonest, and is
    trained with this value and the seeds of the results. Only then is it tested. While some sweeps
    are widened, which keeps few cores busy, the seeds of arms whose sweep has ended are trained.

    Raises UserError if the study cannot be done, before anything is trained.
    """
    folder, store = study_folder(definition), RunStore(Path(definition.runs))
    task = task_of(asked, definition)
    planner = Planner(task, definition)
    planner.check()
    details = details_of(definition.sections)
    manifest = Manifest(definition, task.name, asked.preset, task.headline, command)
    with _alone(folder):
        make_folder(store.root, f"study.runs={store.root}")
        check_writable(store.root, f"study.runs={store.root}")
        swept: list[list[PlannedRun]] = [[] for _ in planner.points]

        def counted(number: int) -> list[PlannedRun]:
            """Return the runs of the results at a point, with the value that its sweep chose."""
            point, runs = planner.points[number], swept[number]
            best = (best_of(runs, store) or runs[0]).swept_values if runs else planner.choices[0]
            found = (planner.run(point, best, seed) for seed in seeds(asked))
            return [replace(run, chosen=True, details=details) for run in found]

        if len(planner.choices) > 1:
            early: dict[int, list[PlannedRun]] = {}
            sweeps = _sweeps(planner, store, sweep_seed(asked), widen=asked.preset == "full")
            for swept, ended in sweeps:
                for number in [each for each in ended if each not in early][:1]:
                    early[number] = counted(number)
                manifest.runs = [run for runs in (*swept, *early.values()) for run in runs]
                if _missing(manifest.runs, store):  # else study.json may have the whole plan
                    write_manifest(folder, manifest)
                    total = sum(map(len, swept)) + len(planner.points) * len(seeds(asked))
                    _do(manifest.runs, store, launch, total)
        plan = enumerate(swept)
        manifest.runs = [run for number, runs in plan for run in (*runs, *counted(number))]
        write_manifest(folder, manifest)
        _do(manifest.runs, store, launch, len(manifest.runs))
    return collect(manifest, store)


def _sweeps(
    planner: Planner, store: RunStore, seed: int, *, widen: bool
) -> Iterator[tuple[list[list[PlannedRun]], list[int]]]:
    """Yield the runs of the sweep at each point, and again after each time that it is widened.

    The second of the pair has the numbers of the points whose sweep has ended. All runs have to be
    done before the next ones are asked for.
    """

    def runs(point: Point, choices: list[Values]) -> list[PlannedRun]:
        return [replace(planner.run(point, choice, seed), swept=True) for choice in choices]

    def wider(point: Point, done: list[PlannedRun]) -> list[PlannedRun]:
        best = best_of(done, store)
        if best is None:
            return []
        tried = [run.swept_values for run in done]
        choices = further(best.swept_values, tried, planner.study.sweep)
        return runs(point, [choice for choice in choices if planner.can_train(point, choice)])

    points = planner.points
    swept = [runs(point, planner.choices) for point in points]
    yield swept, []
    while widen and any(more := [wider(*each) for each in zip(points, swept, strict=True)]):
        swept = [done + new for done, new in zip(swept, more, strict=True)]
        yield swept, [number for number, new in enumerate(more) if not new]


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
        if definition.sections != results.study.sections:
            note(
                "the report has the sections that the study was done with: "
                f"{', '.join(results.study.sections)}; for others run it without report_only=true"
            )
    else:
        results = run_study(asked, definition, command, counted)
    from minitx.study.report.files import write_report  # imports matplotlib, which is slow
    from minitx.study.run.progress_text import publish, show

    with announced("writing the report"):
        report = write_report(results, folder)
        write_evidence(folder, definition.runs)
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


def best_of(runs: list[PlannedRun], store: RunStore) -> PlannedRun | None:
    """Return the first run by `rank`, or None if no run has finished."""
    finished = [run for run in runs if store.trained(run.key)]
    summaries = (store.summary(run.key) for run in finished)
    ranks = [rank(summary | summary["metrics"]) for summary in summaries]
    return finished[ranks.index(min(ranks))] if finished else None


def _do(runs: list[PlannedRun], store: RunStore, launch: Launch, total: int) -> None:
    """Launch the missing runs, and retry once those that fail.

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
