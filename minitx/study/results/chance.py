"""The chance level of associative recall, which a model reaches without learning anything."""

from minitx.study.results.conditions import Condition
from minitx.study.results.results import Results


def pairs_of(results: Results, condition: Condition) -> int | None:
    """Return the number of pairs in a test sequence, or None if the task is not recall."""
    tables = condition.details(results, "recall")
    return int(max(table["pairs"].max() for table in tables)) if tables else None


def chance_level(results: Results, condition: Condition) -> float | None:
    """Return the accuracy of guessing one of a sequence's values, or None if it is not known."""
    pairs = pairs_of(results, condition)
    return 1 / pairs if pairs else None
