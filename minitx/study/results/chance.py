"""The chance level: the accuracy of a model that has learned nothing from its input."""

from collections.abc import Iterable

import pandas as pd

from minitx.study.results.conditions import Condition
from minitx.study.results.results import Results

# Of all answers on val. The best of many validations is a little above chance by luck.
NEAR_CHANCE = 0.02


def pairs_of(results: Results, condition: Condition) -> int | None:
    """Return the number of pairs in a test sequence, or None if the task is not recall."""
    tables = condition.details(results, "recall")
    return int(max(table["pairs"].max() for table in tables)) if tables else None


def chance_level(results: Results, condition: Condition) -> float | None:
    """Return the chance level on val, or None if it is not known.

    In recall, it is that of guessing one of a sequence's values. If a task is tested by length, it
    is that of the best constant answer, at the length of training at which this is right most
    often.
    """
    if pairs := pairs_of(results, condition):
        return 1 / pairs
    if not (tables := condition.details(results, "lengths")):
        return None
    levels = pd.concat(tables)
    return levels.loc[levels["length"] <= levels["longest in training"], "chance level"].max()


def at_chance(results: Results, condition: Condition, keys: Iterable[str]) -> list[str]:
    """Return the keys of the runs whose accuracy on val never left the chance level, if known.

    `keys` are those of runs of the condition.
    """
    chance, column = chance_level(results, condition), "val/accuracy"
    if chance is None or column not in results.curves:
        return []
    best = results.curves.groupby("key")[column].max()
    return [key for key in keys if key in best and best[key] <= chance + NEAR_CHANCE]
