"""The types of the values in the JSON files of a run store and of a plan.

Reports compute with these values, and a report's evidence may be from somebody else. So they are
checked when they are read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from minitx.config.compose import LARGEST_INT
from minitx.config.tasks import TASKS

TABLES = ("arms", "pair_arms", "grid", "sweep", "adamw_sweep")  # of a study
SECONDS = "seconds"  # the time spent on a run, to which more is added
TEXTS = {
    *("task", "model", "status", "ended_by", "reason"),
    *("data_fingerprint", "git_commit", "measuring_commit"),
}


def check_figures(values: Mapping[str, Any]) -> None:
    """Raise ValueError unless all figures of a run have the types that minitx writes.

    Those of names that are not known here are numbers.
    """
    for name, value in values.items():
        fits = _is_text if name in TEXTS else GROUPS.get(name, _is_number)
        unknown = value is None and name not in (*GROUPS, SECONDS)
        if not unknown and not fits(value):
            raise ValueError(f"{name} has a value of the wrong type")


def check_plan(values: Mapping[str, Any]) -> None:
    """Raise ValueError unless study.json has a known task, and the types that minitx writes."""
    study = values["study"]
    arms, pair_arms, grid, *sweeps = (study.get(name, {}) for name in TABLES)
    texts = [values["command"], values["preset"]]
    texts += [*study.get("settings", ()), *study.get("sections", ())]
    texts += [word for words in (*arms.values(), *pair_arms.values()) for word in words]
    tables = all(map(_each(_are_settings), (arms, pair_arms, grid, *sweeps)))
    if values["task"] not in TASKS or not tables or not all(map(_is_text, texts)):
        raise ValueError("it has an unknown task, or a value of the wrong type")
    for run in values["runs"]:
        _check_run(run, list(grid))


def _check_run(run: Mapping[str, Any], axes: list[str]) -> None:
    point, flags = run["point"], [run.get(name, False) for name in ("swept", "chosen")]
    settings = _each(_is_setting)
    if not (
        _is_text(point["arm"])
        and settings(point["at"])
        and set(point["at"]) == set(axes)
        and settings(run["rate"])
        and isinstance(run["seed"], int)
        and all(isinstance(flag, bool) for flag in flags)
    ):
        raise ValueError("a run has a value of the wrong type")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that fits in 64 bits. Booleans are not numbers."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, float) or (whole and abs(value) < LARGEST_INT)


def _is_setting(value: Any) -> bool:
    return isinstance(value, str | bool | None) or _is_number(value)


def _are_settings(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_setting, value))


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check of a JSON object, all of whose values must fit."""
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


GROUPS = {
    "metrics": _each(lambda value: value is None or _is_number(value)),
    "data": _each(lambda value: value is None or _is_number(value)),
    "intervals": _each(_is_interval),
    "machine": _each(_is_setting),
    "versions": _each(_is_setting),
    "files": _each(_is_text),
}
