"""The definition of a study: its question, arms and grid, with the values of the preset."""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any

from minitx.config.keys import one_of
from minitx.config.paths import full_path
from minitx.config.renames import key_of, renamed
from minitx.config.schema import CompareConfig, PresetConfig, StudyConfig, TaskConfig
from minitx.config.tasks import TASKS
from minitx.errors import UserError

Values = dict[str, Any]  # by config key
TASK = "task"  # the axis of a grid with several tasks


@dataclass(frozen=True)
class Point:
    """An arm at a point of the grid. Means are taken over its seeds."""

    arm: str
    at: Values

    @property
    def label(self) -> str:
        """The point in words: "lstm, model.heads=8"."""
        return ", ".join([self.arm, *(f"{name}={value}" for name, value in self.at.items())])


def defined(config: CompareConfig, overrides: Sequence[str] = ()) -> StudyConfig:
    """Return the study with the values of its preset, and with the user's `overrides`.

    Its grid has the axis "task" only if the study has several tasks. Raises UserError for a study
    without arms or values, for a task that it does not suit, and for overrides that a study cannot
    have.
    """
    refuse_hidden(config, overrides)
    common = common_overrides(overrides)
    study = config.study
    preset: PresetConfig = getattr(study, config.preset)
    grid = _axes("grid", preset.grid or study.grid)
    tasks = _tasks(config, grid.pop(TASK, []), overrides)
    if len(tasks) > 1:
        grid = {TASK: tasks} | grid
    task, sweep = tasks[0], sweep_of(config)
    arms = without(getattr(study, TASKS[task].objective.arms) or study.arms, overrides)
    for name in preset.task_settings:
        if name not in TASKS:
            raise UserError(
                f"study.{config.preset}.task_settings: there is no task {name}: "
                + one_of(name, TASKS)
            )
    if preset.task_settings and len(tasks) > 1:
        raise UserError(
            f"study.{config.preset}.task_settings: with several tasks in the grid, settings of one "
            "go into conf/task/"
        )
    merged = dataclasses.replace(
        study,
        arms={
            name: _checked_overrides(f"study.arms.{name}", overrides)
            for name, overrides in arms.items()
        },
        grid=grid,
        sweep=_axes("sweep", getattr(preset, sweep) or getattr(study, sweep)),
        settings=[
            *renamed(study.settings),
            *renamed(preset.settings),
            *_checked_overrides("task_settings", preset.task_settings.get(task, [])),
            *common,
        ],
        dir=study.dir or full_path(f"studies/{_folder_name(config, tasks)}", "study.dir"),
    )
    if not merged.arms:
        raise UserError(f"study={study.name} has nothing to compare: study.arms is empty")
    if not preset.seeds:
        raise UserError(f"study.{config.preset}.seeds is empty: no run would be trained")
    if merged.measures == "speed" and merged.sweep:
        raise UserError("study.sweep: a study of speed tunes nothing, so remove the sweep")
    if merged.ladder and merged.measures == "speed":
        raise UserError("study.ladder: a study of speed has no goal, so set study.ladder=false")
    if merged.ladder and len(merged.grid) != 1:
        raise UserError(
            f"study.ladder: a ladder has one key in its grid, not {len(merged.grid)}: set "
            "study.ladder=false, or another study.grid"
        )
    if not points(merged):
        raise UserError(
            f"study.most_tokens={merged.most_tokens}: a step has more tokens at every point of the "
            "grid, so nothing is left"
        )
    _check_keys(merged)
    if len(set(preset.seeds)) < len(preset.seeds):
        raise UserError(f"study.{config.preset}.seeds={preset.seeds}: list each seed once")
    return merged


def _tasks(config: CompareConfig, listed: list[str], overrides: Sequence[str]) -> list[str]:
    """Return the tasks of the study: the one that the user chose, else those that its grid lists.

    The default task of all commands is not a choice, but counts if the grid lists none.
    """
    for name in listed:
        if name not in TASKS:
            raise UserError(f"study.grid: there is no task {name}: {one_of(str(name), TASKS)}")
    study, task = config.study, config.task.name
    chosen = task != TaskConfig().name or TASK in map(key_of, overrides)
    tasks = listed if listed and not chosen else [task]
    for name in tasks:
        if study.tasks and name not in study.tasks:
            raise UserError(
                f"study={study.name} does not suit task={name}; it suits {', '.join(study.tasks)}"
            )
    if len({TASKS[name].headline for name in tasks}) > 1:
        measured = ", ".join(f"{name} by {TASKS[name].headline}" for name in tasks)
        raise UserError(f"study.grid: these tasks have several headline measures: {measured}")
    return tasks


def task_of(config: CompareConfig, definition: StudyConfig) -> TaskConfig:
    """Return the task of a study, of several the first one."""
    tasks = definition.grid.get(TASK)
    return TaskConfig(name=tasks[0]) if tasks else config.task


def _folder_name(config: CompareConfig, tasks: list[str]) -> str:
    """Return the name of a study's folder: STUDY_TASK_PRESET, or STUDY_PRESET of several tasks."""
    return "_".join([config.study.name, *(tasks if len(tasks) == 1 else []), config.preset])


def sweep_of(config: CompareConfig) -> str:
    """Return the name of the sweep of the selected optimizer: AdamW may have its own."""
    preset: PresetConfig = getattr(config.study, config.preset)
    has_own = bool(preset.adamw_sweep or config.study.adamw_sweep)
    return "adamw_sweep" if config.optimizer.name == "adamw" and has_own else "sweep"


# Keys of the study itself, and keys that it sets for each run.
OF_THE_STUDY = ("study", "preset", "report_only", "only")
NOT_FOR_ALL = {
    "model": "the arms of the study set it",
    "seed": "the preset sets several: study.quick.seeds=[1,2,3]",
    "resume": "a study resumes automatically",
    "run": "the study names the folders of its runs",
    "budget": "use study.parameters, which holds for all arms",
}


def _check_keys(study: StudyConfig) -> None:
    """Raise UserError if the definition sets keys that the study sets automatically."""
    said = {
        "grid": list(study.grid),
        "sweep": list(study.sweep),
        "settings": study.settings,
        **{f"arms.{arm}": overrides for arm, overrides in study.arms.items()},
    }
    for where, overrides in said.items():
        for override in overrides:
            name = key_of(override)
            if name == "model" and where.startswith("arms."):
                continue
            if name == TASK and where == "grid":
                continue
            _check_for_all(name, f"study.{where} has {override}")
            if name == TASK:
                raise UserError(
                    f"study.{where} has {override}: a study has one task, task=NAME, or lists "
                    "several in its grid"
                )


def refuse_hidden(config: CompareConfig, overrides: Sequence[str]) -> None:
    """Raise UserError if the user sets a grid or a sweep that the preset replaces."""
    preset: PresetConfig = getattr(config.study, config.preset)
    sweep = sweep_of(config)
    for override in overrides:
        key, values = key_of(override), override.partition("=")[2]
        if sweep == "adamw_sweep" and re.match(rf"study\.({config.preset}\.)?sweep\b", key):
            raise UserError(
                f"{override}: with optimizer=adamw the study uses its own sweep "
                f"instead: ++study.{config.preset}.adamw_sweep={values}"
            )
        for name, own in (("grid", preset.grid), (sweep, getattr(preset, sweep))):
            if own and key.startswith(f"study.{name}"):
                raise UserError(
                    f"{override}: preset={config.preset} uses its own {name} instead: "
                    f"++study.{config.preset}.{name}={values}"
                )


def without(arms: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the arms without those that overrides such as `~study.arms.gru` leave out.

    Raises UserError for an arm that there is not.
    """
    left = dict(arms)
    for override in overrides:
        if override.startswith("~"):
            name = key_of(override).rpartition(".")[2]
            if name not in left:
                raise UserError(f"{override}: the study has no arm {name}: {one_of(name, left)}")
            del left[name]
    return left


def common_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides on the command line that hold for every run.

    Raises UserError for keys that the study sets automatically.
    """
    common = []
    for override in overrides:
        name = key_of(override)
        _check_for_all(name, override)
        if name != "task" and _group(name) not in (*OF_THE_STUDY, "logger"):
            common.append(override)
    return common


def _check_for_all(name: str, said: str) -> None:
    """Raise UserError, beginning with `said`, for a key that the study sets automatically."""
    if name in NOT_FOR_ALL or _group(name) in ("run", "budget"):
        raise UserError(f"{said}: {NOT_FOR_ALL[_group(name)]}")


def _group(name: str) -> str:
    """Return the "model" of "model.heads"."""
    return name.partition(".")[0]


def seeds(config: CompareConfig) -> list[int]:
    """Return the seeds of the results at every point."""
    preset: PresetConfig = getattr(config.study, config.preset)
    return preset.seeds


def sweep_seed(config: CompareConfig) -> int:
    """Return the seed of the sweep: the smallest one that is not a seed of the results.

    A value that the sweep chooses with a seed suits this seed better than others.
    """
    return next(seed for seed in count() if seed not in seeds(config))


def points(study: StudyConfig) -> list[Point]:
    """Return every arm at every point of the grid that is not too large, by arm."""
    most = math.inf if study.most_tokens is None else study.most_tokens
    return [
        Point(arm, at)
        for arm in study.arms
        for at in combinations(study.grid)
        if (at.get("data.batch_size") or 1) * at.get("model.context", 1) <= most
    ]


def rungs(study: StudyConfig) -> list[list[Point]]:
    """Return the points in the groups that are trained one after another.

    Those of a ladder have a group for each value of the grid, others are one group.
    """
    if not study.ladder:
        return [points(study)]
    found = points(study)
    groups = [[each for each in found if each.at == at] for at in combinations(study.grid)]
    return [group for group in groups if group]


def majority(reached: Iterable[bool]) -> bool:
    """Return whether more than half of the seeds reached the goal, so that their arm climbs."""
    counted = list(reached)
    return 2 * sum(counted) > len(counted)


def combinations(axes: Values) -> list[Values]:
    """Return all combinations of one value per key. Without keys there is one, which is empty."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def study_folder(study: StudyConfig) -> Path:
    """Return the folder of the study's plan and report."""
    assert study.dir is not None
    return Path(study.dir)


def _checked_overrides(where: str, overrides: Any) -> list[str]:
    if not isinstance(overrides, list) or not all(isinstance(each, str) for each in overrides):
        raise UserError(f"{where}={overrides}: write a list, such as [model=lstm, model.layers=2]")
    return renamed(overrides)


def _axes(name: str, axes: Values) -> Values:
    axes = renamed(axes)
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise UserError(
                f"study.{name}: {key} has no values: write a list, such as {key}: [1, 2]"
            )
        for value in values:
            if isinstance(value, dict | list):
                raise UserError(
                    f"study.{name}: {key} has the value {value}: use a number, a string, true, "
                    "false or null"
                )
        if len(set(map(str, values))) < len(values):
            raise UserError(f"study.{name}: {key}={values}: list each value once")
    return axes
