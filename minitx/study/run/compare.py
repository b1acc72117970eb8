"""Run a study: train and measure the runs that are missing, and write the report."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from minitx.config.schema import CompareConfig, StudyConfig
from minitx.data.progress import announced
from minitx.errors import UserError, WriteError
from minitx.runs.paths import check_writable, make_folder
from minitx.study.plan.definition import (
    Point,
    Values,
    majority,
    rungs,
    seeds,
    study_folder,
    sweep_seed,
    task_of,
)
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

    An arm climbs a ladder to the next value of the grid if most of its seeds reach `trainer.goal`.
    It must be possible to build its model at every value, also at those that it may not reach.

    Raises UserError if the study cannot be done, before anything is trained.
    """
    folder, store = study_folder(definition), RunStore(Path(definition.runs))
    task = task_of(asked, definition)
    planner = Planner(task, definition)
    planner.check()
    manifest = Manifest(definition, task.name, asked.preset, task.headline, command)
    study = _Study(asked, planner, store, folder, manifest, launch)
    with _alone(folder):
        make_folder(store.root, f"study.runs={store.root}")
        check_writable(store.root, f"study.runs={store.root}")
        arms = list(definition.arms)
        for points in rungs(definition):
            study.do([point for point in points if point.arm in arms])
            if definition.ladder:
                arms = [arm for arm in arms if study.climbs(arm, points[0].at)]
        write_manifest(folder, manifest)
    return collect(manifest, store)


@dataclass(frozen=True)
class _Study:
    """A study whose runs are done in `folder`. `manifest` has those that are planned so far."""

    asked: CompareConfig
    planner: Planner
    store: RunStore
    folder: Path
    manifest: Manifest
    launch: Launch

    def do(self, points: list[Point]) -> None:
        """Do the runs at these points, and add them to the manifest."""
        before = self.manifest.runs
        swept: list[list[PlannedRun]] = [[] for _ in points]
        if len(self.planner.choices) > 1:
            early: dict[int, list[PlannedRun]] = {}
            for swept, ended in self._sweeps(points):
                for number in [each for each in ended if each not in early][:1]:
                    early[number] = self._counted(points[number], swept[number])
                runs = [run for runs in (*swept, *early.values()) for run in runs]
                left = len(points) * len(seeds(self.asked))
                self._launch([*before, *runs], len(before) + sum(map(len, swept)) + left)
        plan = zip(points, swept, strict=True)
        runs = [run for point, tried in plan for run in (*tried, *self._counted(point, tried))]
        self._launch([*before, *runs], len(before) + len(runs))

    def climbs(self, arm: str, at: Values) -> bool:
        """Return whether most seeds of an arm reach the goal at this value of the grid."""
        runs = [run for run in self.manifest.runs if run.chosen and run.point == Point(arm, at)]
        return majority(self.store.summary(run.key).get("ended_by") == "goal" for run in runs)

    def _launch(self, runs: list[PlannedRun], total: int) -> None:
        """Make these runs the plan, by arm, and do those that are missing, in their own order."""
        arms = list(self.planner.study.arms)
        self.manifest.runs = sorted(runs, key=lambda run: arms.index(run.point.arm))
        if _missing(runs, self.store):  # else study.json may have the whole plan
            write_manifest(self.folder, self.manifest)
            _do(runs, self.store, self.launch, total)

    def _counted(self, point: Point, tried: list[PlannedRun]) -> list[PlannedRun]:
        """Return the runs of the results at a point, with the value that its sweep chose."""
        best = best_of(tried, self.store) or next(iter(tried), None)
        value = best.swept_values if best else self.planner.choices[0]
        found = (self.planner.run(point, value, seed) for seed in seeds(self.asked))
        details = details_of(self.planner.study.sections)
        return [replace(run, chosen=True, details=details) for run in found]

    def _sweeps(self, points: list[Point]) -> Iterator[tuple[list[list[PlannedRun]], list[int]]]:
        """Yield the runs of the sweep at each point, and again whenever it is widened.

        The second of the pair has the numbers of the points whose sweep has ended. All runs have to
        be done before the next ones are asked for.
        """
        seed = sweep_seed(self.asked)

        def runs(point: Point, choices: list[Values]) -> list[PlannedRun]:
            return [replace(self.planner.run(point, each, seed), swept=True) for each in choices]

        def wider(point: Point, done: list[PlannedRun]) -> list[PlannedRun]:
            best = best_of(done, self.store)
            if best is None:
                return []
            tried = [run.swept_values for run in done]
            choices = further(best.swept_values, tried, self.planner.study.sweep)
            return runs(point, [each for each in choices if self.planner.can_train(point, each)])

        swept = [runs(point, self.planner.choices) for point in points]
        yield swept, []
        widen = self.asked.preset == "full"
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
