"""The rules about how models were trained: the same settings, recipes for all, and long enough."""

from typing import Any

import numpy as np
import pandas as pd

from minitx.drawing.formatting import count, listed, setting
from minitx.study.report.rules.rule import Rule
from minitx.study.results.chance import NEAR_CHANCE, at_chance
from minitx.study.results.conditions import Condition, conditions_of, reached_goal
from minitx.study.results.results import Results
from minitx.study.results.settings import differing_settings, recipe_choices

# Of a curve: of the measure itself if it is a fraction, else of the loss relative to the loss. The
# differences between models that studies report start at about this size, so a curve that still
# gains more could change which model is better.
MOST_GAIN = 0.01
LAST_PART = 0.25  # of the training


def same_training(results: Results) -> Rule:
    """Return the rule about the settings of training, which recipes may change."""
    parts = [f"{key} is {_by_value(values)}" for key, values in differing_settings(results).items()]
    return Rule(
        "the same training for all",
        not parts,
        f"Apart from the model and the sweep, the recipes differ: {'; '.join(parts)}."
        if parts
        else "Apart from the model and the sweep, all arms were trained with the same settings.",
    )


def _by_value(values: dict[str, Any]) -> str:
    """Format the values of arms: "0.1 for transformer and 0.2 for lstm and gru"."""
    whose: dict[str, list[str]] = {}
    for arm, value in values.items():
        whose.setdefault(setting(value), []).append(arm)
    return listed(f"{value} for {listed(arms)}" for value, arms in whose.items())


def same_recipes(results: Results) -> Rule | None:
    """Return the rule about the parts of models that recipes choose for the task.

    A recipe may choose another value than that of another arm, but a value that is chosen for one
    arm and left at its default for another was not tuned equally.
    """
    if len(results.settings) < 2:
        return None
    name = "recipes for all or for none"
    choices = recipe_choices(results)
    if not choices:
        return Rule(name, True, f"No model has a recipe for {results.task} that changes its parts.")
    left = {
        arm: [key for key, values in choices.items() if arm in values and values[arm] is None]
        for arm in results.settings
    }
    parts = [f"{listed(keys)} of {arm}" for arm, keys in left.items() if keys]
    chosen = {
        arm for values in choices.values() for arm, value in values.items() if value is not None
    }
    parts += [arm for arm in results.settings if arm not in chosen and not left[arm]]
    if parts:
        words = f"Recipes for {results.task} change {listed(choices)}, and leave the defaults for "
        return Rule(name, False, f"{words}{listed(parts)}.")
    found = [f"{key} is {_by_value(values)}" for key, values in choices.items()]
    words = f"Recipes for {results.task}, or the study, choose for all: {'; '.join(found)}."
    return Rule(name, True, words)


def converged(results: Results) -> Rule:
    """Return the rule that no curve on val still improves in the last quarter of training.

    The best value so far counts, because the best checkpoint is tested. Runs that stopped at their
    goal are not checked. A run that never left the chance level has learned nothing: a curve that
    is flat there may rise later, so it does not count as converged.
    """
    name = "trained to convergence"
    conditions = [each for each in conditions_of(results) if len(each.finished)]
    stopped = sum(int(reached_goal(each.finished).sum()) for each in conditions)
    unlearned = {
        each.name: at_chance(results, each, _full_length(each)["key"]) for each in conditions
    }
    gains = {
        each.name: _gain(each, results, leaving_out=unlearned[each.name])
        for each in conditions
        if len(unlearned[each.name]) + reached_goal(each.finished).sum() < len(each.finished)
    }
    parts = [_unlearned(unlearned), *_flat(gains, results)]
    if stopped:
        parts.append(f"{count(stopped, 'run')} stopped at the goal and were not checked.")
    steep = any(not gain <= MOST_GAIN for gain in gains.values())  # a gain may be NaN
    return Rule(name, not (steep or any(unlearned.values())), " ".join(filter(None, parts)))


def _unlearned(keys: dict[str, list[str]]) -> str:
    """Describe the runs of each condition that never left the chance level."""
    whose = [f"{count(len(found), 'run')} of {arm}" for arm, found in keys.items() if found]
    if not whose:
        return ""
    return (
        f"Not learned: the accuracy on val of {listed(whose)} was never more than "
        f"{100 * NEAR_CHANCE:g} percentage points above the chance level. A curve that is flat "
        "there need not have converged, because learning may begin later."
    )


def _flat(gains: dict[str, float], results: Results) -> list[str]:
    """Describe the gains of the conditions whose curves were checked, and the limit."""
    if not gains:
        return []
    unit = " percentage point" if _is_fraction(results) else "% of the loss"
    limit = f"A curve counts as flat if it gains at most {100 * MOST_GAIN:g}{unit}."
    if unknown := [arm for arm, gain in gains.items() if np.isnan(gain)]:
        return [
            f"Whether the curve of {listed(unknown)} is flat is not known, because it has too few "
            "validations."
        ]
    steep = [f"{arm} by {_spelt(gain, results)}" for arm, gain in gains.items() if gain > MOST_GAIN]
    what = results.measure.words if _is_fraction(results) else "the loss"
    last = f"In the last quarter of training, {what} on val"
    if steep:
        return [
            f"Not trained to convergence. {last} still improved, in the mean over seeds: "
            f"{listed(steep)}. {limit}"
        ]
    most = _spelt(max(gains.values()), results)
    return [f"{last} improved by {most} at most, in the mean over seeds. {limit}"]


def _full_length(condition: Condition) -> pd.DataFrame:
    """Return the finished runs that did not stop at the goal."""
    return condition.finished[~reached_goal(condition.finished)]


def _is_fraction(results: Results) -> bool:
    """Return whether curves show the headline measure as a fraction, such as accuracy."""
    return results.measure.is_fraction and f"val/{results.measure.name}" in results.curves


def _spelt(gain: float, results: Results) -> str:
    """Format a gain: "1.2 percentage points", "1.2%"."""
    return f"{100 * gain:.1f} percentage points" if _is_fraction(results) else f"{gain:.1%}"


def _gain(condition: Condition, results: Results, leaving_out: list[str]) -> float:
    """Return the gain in the last quarter, as a mean over the runs whose gain is known, or NaN.

    Runs that stopped at the goal, and those with the keys `leaving_out`, do not count.
    """
    runs = _full_length(condition)
    gains = [_gain_of(key, results) for key in runs["key"] if key not in leaving_out]
    known = [gain for gain in gains if not np.isnan(gain)]
    return float(np.mean(known)) if known else np.nan


def _gain_of(key: str, results: Results) -> float:
    """Return by how much the best value of a run's curve improves in the last quarter, or NaN."""
    fraction = _is_fraction(results)
    column = f"val/{results.measure.name}" if fraction else "val/loss"
    if column not in results.curves:
        return np.nan
    curve = results.curves[results.curves["key"] == key]
    sign = -1 if fraction and not results.measure.lower_is_better else 1
    curve = curve.dropna(subset=[column])
    before = curve["step"] <= (1 - LAST_PART) * curve["step"].max()
    if not before.any():
        return np.nan
    values = sign * curve[column]
    gain = float(values[before].min() - values.min())
    return gain if fraction else gain / abs(values[before].min())
