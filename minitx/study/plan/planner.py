"""Plan the runs of a study, and give each its key."""

import json
from dataclasses import replace
from typing import Any

from minitx.config.compose import compose, in_quotes, to_plain
from minitx.config.paths import paths_of
from minitx.config.renames import key_of
from minitx.config.schema import Config, StudyConfig, TaskConfig
from minitx.errors import UserError
from minitx.models.budget import TOLERANCE, sizes_of, within_budget
from minitx.study.plan.definition import TASK, Point, Values, combinations, points
from minitx.study.plan.manifest import PlannedRun
from minitx.study.plan.run_store import run_key
from minitx.tasks.base import Task
from minitx.tasks.open import open_task
from minitx.training.checks import check_limits
from minitx.training.hardware import check_hardware


class Planner:
    """Plan the runs of a study, with the same corpus and, if arms match, the same size."""

    def __init__(self, task: TaskConfig, study: StudyConfig) -> None:
        self.task, self.study = task, study
        self.points = points(study)
        self.choices = combinations(study.sweep)  # one empty combination without a sweep
        self._tasks: dict[str, Task] = {}
        self._configs: dict[str, Config] = {}  # by overrides; composing takes tenths of a second
        self._fitted: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Raise UserError if a model cannot be built, or if no width gives it the right size."""
        for point in self.points:
            config = self._composed(self._overrides(point, self.choices[0]))
            if config.trainer.devices > 1:
                raise UserError(
                    f"trainer.devices={config.trainer.devices}: a study's run is one process; for "
                    "several runs at once use hydra/launcher=joblib"
                )
            check_hardware(config.trainer)
            if "optimizer.muon_lr" in self.study.sweep and config.optimizer.name == "adamw":
                raise UserError(
                    "study.sweep: optimizer=adamw has no muon_lr that could be searched; for "
                    "AdamW add ++study.adamw_sweep={optimizer.lr: [0.001, 0.003, 0.01]}"
                )
            if self.study.ladder and config.trainer.goal is None:
                raise UserError("study.ladder: arms climb if they reach a goal: set trainer.goal")
            if self.study.measures == "speed" and not config.task.objective.windows:
                raise UserError("speed is measured on language models only: use task=shakespeare")
            tested = self.study.measures == "training"
            if tested and "test" not in self._opened(config).store.splits:
                raise UserError(
                    f"task={config.task.name} has no test split, and val is used to choose the "
                    "values of the sweep: compare models on another task"
                )
            self._fit(point, config)
            try:
                if tested:
                    check_limits(config)
                    self._opened(config).data()
            except (ValueError, UserError) as error:
                raise UserError(f"{point.label}: {error}") from error

    def can_train(self, point: Point, choice: Values) -> bool:
        """Return whether a model with these values can be built, at the right size, and trained."""
        try:
            config = self._composed(self._overrides(point, choice))
            self._fit(point, config)
            check_limits(config)
        except UserError:
            return False
        return True

    def run(self, point: Point, choice: Values, seed: int) -> PlannedRun:
        """Return the run of one seed, marked as neither swept nor chosen."""
        overrides = self._overrides(point, choice)
        config = replace(self._composed(overrides), seed=seed)
        overrides.append(f"seed={seed}")
        fingerprint = self._opened(config).store.fingerprint
        key = run_key(config, fingerprint, self.study.measures)
        return PlannedRun(key, point, choice, seed, _with_full_paths(overrides, config))

    def _composed(self, overrides: list[str]) -> Config:
        """Return the config of these overrides, composed once for all seeds."""
        name = json.dumps(overrides)
        if name not in self._configs:
            self._configs[name] = compose(*overrides)
        return self._configs[name]

    def _overrides(self, point: Point, choice: Values) -> list[str]:
        overrides = self._own_overrides(point, choice)
        if self.study.parameters is not None:
            return [*overrides, f"budget.parameters={self.study.parameters}"]
        if self.study.match:
            total, outside = self._first_sizes(point)
            overrides.append(f"budget.parameters={total}")
            found = self._fit(point, self._composed(overrides))[1]
            if abs(found - outside) > TOLERANCE * outside:
                overrides.append(f"budget.non_embedding={outside}")
        return overrides

    def _own_overrides(self, point: Point, choice: Values) -> list[str]:
        """Return the overrides that do not depend on the other arms."""
        values = point.at | choice
        return [
            f"task={values.pop(TASK, self.task.name)}",
            *self.study.arms[point.arm],
            *self.study.settings,
            *(f"{name}={_quoted(value)}" for name, value in values.items()),
        ]

    def _first_sizes(self, point: Point) -> tuple[int, int]:
        """Return the sizes of the first arm, with and without embeddings; the others match it."""
        first = Point(next(iter(self.study.arms)), point.at)
        return self._fit(first, self._composed(self._own_overrides(first, self.choices[0])))

    def _fit(self, point: Point, config: Config) -> tuple[int, int]:
        """Return the sizes of the model, with and without embeddings, at the width of its budget.

        Raises UserError if no model can be built, or if no width fits.
        """
        name = json.dumps([to_plain(each) for each in (config.model, config.task, config.budget)])
        if name not in self._fitted:  # points of the grid may differ in other keys only
            build = self._opened(config).vocabulary.build
            try:
                model = within_budget(config.model, config.budget, build)
                self._fitted[name] = sizes_of(model, build)
            except ValueError as error:
                raise UserError(f"{point.label}: {error}") from error
        return self._fitted[name]

    def _opened(self, config: Config) -> Task:
        """Return the task, opened once for all runs with the same corpus."""
        parts: list[Any] = [to_plain(config.task), to_plain(config.data), config.model.context]
        name = json.dumps(parts)
        if name not in self._tasks:
            self._tasks[name] = open_task(config)
        return self._tasks[name]


def _quoted(value: Any) -> str:
    """Format a value for Hydra. Text is quoted, because it may have commas and blanks."""
    return in_quotes(value) if isinstance(value, str) else json.dumps(value)


def _with_full_paths(overrides: list[str], config: Config) -> list[str]:
    """Return overrides for any working folder, with the paths of the config composed from them."""
    paths = paths_of(config)
    return [
        f"{key_of(each)}={in_quotes(path)}" if (path := paths.get(key_of(each))) else each
        for each in overrides
    ]
