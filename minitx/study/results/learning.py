"""Which seeds learned recall, and how often: a seed learns it suddenly or not at all."""

from typing import Any

import numpy as np
import pandas as pd

from minitx.drawing.formatting import count
from minitx.study.results.chance import chance_level, pairs_of
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.counts import more_often
from minitx.study.statistics.intervals import fraction_interval

LEARNED = 0.99  # accuracy on val
METRIC = "val/accuracy"


def learning_of(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table with a row for each seed, and one with a row for each arm and rung.

    A rung is a point of the grid. Both are empty if no seed was measured.
    """
    if METRIC not in results.curves:
        return pd.DataFrame(), pd.DataFrame()
    conditions = [each for each in conditions_of(results) if len(each.details(results, "recall"))]
    seeds = pd.DataFrame(row for each in conditions for row in _seeds(results, each))
    if seeds.empty:
        return seeds, seeds
    of_arms = seeds.groupby("arm", sort=False)
    return seeds, pd.DataFrame(row for arm, rows in of_arms for row in _rungs(str(arm), rows))


def successes_compared(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the seeds of the first arm with those of each other arm, on each rung of both.

    `p` is that of Boschloo's exact test, not corrected.
    """
    if table.empty:
        return table
    first, *others = (rows for _, rows in table.groupby("arm", sort=False))
    rows = []
    for one, other in (pair for each in others for pair in _shared(first, each)):
        hits, tries = ((one[name], other[name]) for name in ("learned", "seeds"))
        rows.append(
            {
                "first": one["arm"],
                "second": other["arm"],
                "rung": one["rung"],
                "first's seeds that learn it": f"{hits[0]} of {tries[0]}",
                "second's seeds that learn it": f"{hits[1]} of {tries[1]}",
                "more": int(np.sign(hits[0] / tries[0] - hits[1] / tries[1])),
                "p": more_often(hits, tries),
            }
        )
    return pd.DataFrame(rows)


def _shared(
    first: pd.DataFrame, other: pd.DataFrame
) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Return the rows of both arms for each rung that both have."""
    rows = {row["rung"]: row for row in other.to_dict("records")}
    return [(row, rows[row["rung"]]) for row in first.to_dict("records") if row["rung"] in rows]


def rung(results: Results, condition: Condition) -> str:
    """Return a point of the grid in words, with its pairs: "2 pairs, 16 tokens of context"."""
    if "task.pairs" in condition.axes:
        return condition.place
    pairs = pairs_of(results, condition)
    return ", ".join(filter(None, [count(pairs, "pair") if pairs else "", condition.place]))


def _seeds(results: Results, condition: Condition) -> list[dict[str, Any]]:
    """Return a row for each seed: whether it learned, and what it saw until then or in total."""
    rows = []
    for run in condition.finished.to_dict("records"):
        curve = results.curves[results.curves["key"] == run["key"]].dropna(subset=[METRIC])
        if not len(curve):
            continue
        reached = curve[curve[METRIC] >= LEARNED]
        until = reached.iloc[0] if len(reached) else curve.iloc[-1]
        rows.append(
            {
                "arm": condition.arm,
                "rung": rung(results, condition),
                "chance level": chance_level(results, condition),
                "seed": run["seed"],
                "learned": bool(len(reached)),
                "steps": int(until["step"]),
                "tokens": int(until["tokens_seen"]),
                "best accuracy on val": curve[METRIC].max(),
                "accuracy on test": run[results.metric],
            }
        )
    return rows


def _rungs(arm: str, seeds: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each rung of an arm."""
    rows = []
    for name, found in seeds.groupby("rung", sort=False):
        learned = found[found["learned"]]
        rows.append(
            {
                "arm": arm,
                "rung": name,
                "seeds": len(found),
                "learned": len(learned),
                **fraction_interval(len(learned), len(found)).columns("fraction that learned"),
                "median steps until then": learned["steps"].median(),
                "median tokens until then": learned["tokens"].median(),
                "lowest accuracy on test of these": learned["accuracy on test"].min(),
                "chance level": found["chance level"].iloc[0],
            }
        )
    return rows
