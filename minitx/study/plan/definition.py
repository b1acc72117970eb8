"""A study as it was asked for: its question, its arms, its grid, with the preset put on it."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from minitx.config.keys import nearest
from minitx.config.renames import renamed
from minitx.config.schema import CompareConfig, PresetConfig, StudyConfig
from minitx.config.tasks import TASKS
from minitx.errors import UserError

Values = dict[str, Any]  # key of a config: its value


@dataclass(frozen=True)
class Point:
    """One arm at one point of the grid: what a mean over seeds is taken of."""

    arm: str
    at: Values

    @property
    def label(self) -> str:
        """For people: "lstm, model.heads=8"."""
        return ", ".join([self.arm, *(f"{name}={value}" for name, value in self.at.items())])


def defined(config: CompareConfig, common: Sequence[str] = ()) -> StudyConfig:
    """The study with its preset's values in place of its own, and `common` words for every run.

    Raises UserError for a study without arms or values, or a task that it does not suit.
    """
    study, task = config.study, config.task.name
    preset: PresetConfig = getattr(study, config.preset)
    if study.tasks and task not in study.tasks:
        raise UserError(
            f"study={study.name} does not suit task={task}: it may be one of "
            f"{', '.join(study.tasks)}"
        )
    sweep = sweep_of(config)
    arms = getattr(study, TASKS[task].objective.arms) or study.arms
    for name in preset.task_settings:
        if name not in TASKS:
            hint = nearest(name, list(TASKS))
            raise UserError(
                f"study.{config.preset}.task_settings has settings for {name}, which is no task"
                + (f": did you mean {hint}?" if hint else "")
            )
    merged = dataclasses.replace(
        study,
        arms={name: _words(f"study.arms.{name}", words) for name, words in arms.items()},
        grid=_axes("grid", preset.grid or study.grid),
        sweep=_axes("sweep", getattr(preset, sweep) or getattr(study, sweep)),
        settings=[
            *renamed(study.settings),
            *renamed(preset.settings),
            *_words("task_settings", preset.task_settings.get(task, [])),
            *common,
        ],
        dir=study.dir or f"studies/{study.name}_{task}_{config.preset}",
    )
    if not merged.arms:
        raise UserError(f"study={study.name} compares nothing: study.arms is empty")
    if not preset.seeds:
        raise UserError(f"study.{config.preset}.seeds is empty: no run would be trained")
    if merged.measures == "speed" and merged.sweep:
        raise UserError("study.sweep: nothing is chosen where speed is measured, leave it out")
    _check_keys(merged)
    if len(set(preset.seeds)) < len(preset.seeds):
        raise UserError(f"study.{config.preset}.seeds={preset.seeds}: each seed once")
    return merged


def sweep_of(config: CompareConfig) -> str:
    """Return the name of the sweep of the selected optimizer: AdamW may have its own."""
    preset: PresetConfig = getattr(config.study, config.preset)
    has_own = bool(preset.adamw_sweep or config.study.adamw_sweep)
    return "adamw_sweep" if config.optimizer.name == "adamw" and has_own else "sweep"


# What the study itself decides, or what is not for the runs: not to be said of all of them.
OF_THE_STUDY = ("study", "preset", "report_only", "only")
NOT_FOR_ALL = {
    "model": "the arms of the study choose it",
    "seed": "the study's preset has several: study.quick.seeds=[1,2,3]",
    "resume": "a study goes on by itself",
    "run": "the study names the folders of its runs",
    "budget": "say study.parameters, for all arms",
}


def _check_keys(study: StudyConfig) -> None:
    """Raises UserError for what the study is to say of its runs, and decides by itself."""
    said = {
        "grid": list(study.grid),
        "sweep": list(study.sweep),
        "settings": study.settings,
        **{f"arms.{arm}": words for arm, words in study.arms.items()},
    }
    for where, words in said.items():
        for word in words:
            name = _key(word)
            if name == "model" and where.startswith("arms."):
                continue
            _check_for_all(name, f"study.{where} has {word}")
            if name == "task":
                raise UserError(f"study.{where} has {word}: a study has one task, task=NAME")
            if name == "data.batch_size" and study.measures == "speed":
                raise UserError(
                    f"study.{where} has {word}: a step has as many tokens at all lengths, so the "
                    "study decides how many windows it has"
                )


def refuse_hidden(config: CompareConfig, overrides: list[str]) -> None:
    """Raises UserError for a grid or a sweep that is asked for and that the preset would hide."""
    preset: PresetConfig = getattr(config.study, config.preset)
    sweep = sweep_of(config)
    for word in overrides:
        key, values = _key(word), word.partition("=")[2]
        if sweep == "adamw_sweep" and re.match(rf"study\.({config.preset}\.)?sweep\b", key):
            raise UserError(
                f"{word}: with optimizer=adamw the study has a sweep of its own, and that counts: "
                f"++study.{config.preset}.adamw_sweep={values}"
            )
        for name, own in (("grid", preset.grid), (sweep, getattr(preset, sweep))):
            if own and key.startswith(f"study.{name}"):
                raise UserError(
                    f"{word}: preset={config.preset} has a {name} of its own, and that counts: "
                    f"++study.{config.preset}.{name}={values}"
                )


def common_words(overrides: list[str]) -> list[str]:
    """What the command line says of every run, as words for scripts/train.py.

    Raises UserError for what cannot be said of all of them.
    """
    words = []
    for word in overrides:
        name = _key(word)
        _check_for_all(name, word)
        if name != "task" and _group(name) not in (*OF_THE_STUDY, "logger"):
            words.append(word)
    return words


def _check_for_all(name: str, said: str) -> None:
    """Raises UserError, with what was `said`, for a key that the study decides by itself."""
    if name in NOT_FOR_ALL or _group(name) in ("run", "budget"):
        raise UserError(f"{said}: {NOT_FOR_ALL[_group(name)]}")


def _key(word: str) -> str:
    """Of "+model.heads=8" the "model.heads"."""
    return word.lstrip("+").partition("=")[0]


def _group(name: str) -> str:
    """Of "model.heads" the "model"."""
    return name.partition(".")[0]


def seeds(config: CompareConfig) -> list[int]:
    """The seeds of every point; the sweep is done with the first."""
    preset: PresetConfig = getattr(config.study, config.preset)
    return preset.seeds


def points(study: StudyConfig) -> list[Point]:
    """Every arm at every point of the grid, the arm that comes first first."""
    return [Point(arm, at) for arm in study.arms for at in combinations(study.grid)]


def combinations(axes: Values) -> list[Values]:
    """All choices of one value for each key; of no keys there is one, the empty one."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def study_folder(study: StudyConfig) -> Path:
    """Where the study's report is."""
    assert study.dir is not None
    return Path(study.dir)


def _words(where: str, words: Any) -> list[str]:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"{where}={words}: write a list of words, as [model=lstm, model.layers=2]")
    return renamed(words)


def _axes(name: str, axes: Values) -> Values:
    axes = renamed(axes)
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"study.{name}: {key} has no values: write a list, as {key}: [1, 2]")
        for value in values:
            if isinstance(value, dict | list):
                raise UserError(
                    f"study.{name}: {key} has the value {value}: it may be a number, a text, true, "
                    "false or null"
                )
        if len(set(map(str, values))) < len(values):
            raise UserError(f"study.{name}: {key}={values}: each value once")
    return axes
