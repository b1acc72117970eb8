"""What a study's sweep tried for each condition of the grid, and what was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import pandas as pd

from minitx.drawing.formatting import is_number, listed, setting
from minitx.study.plan.widening import open_sides
from minitx.study.results.axes import last_part
from minitx.study.results.conditions import Condition, plain, planned
from minitx.study.results.results import FINISHED, Results

CHOSEN_BY = "val/loss"


@dataclass(frozen=True)
class Sweep:
    """The sweep of a condition. `tried` has a row for each combination of values.

    The columns of `tried` are the swept keys (`keys`), the mean `steps` to the goal (infinite if
    one did not reach it, or if there is none), the mean `loss` on val (both NaN if no run
    finished), `runs`, `finished` and `chosen`.
    """

    condition: Condition
    keys: list[str]
    tried: pd.DataFrame

    @property
    def chosen(self) -> dict[str, Any]:
        """The chosen value of each key; empty if nothing has been chosen yet."""
        rows = self.tried[self.tried["chosen"] & self.known]
        return {key: plain(rows[key].iloc[0]) for key in self.keys} if len(rows) else {}

    @property
    def known(self) -> pd.Series:
        """For each combination, whether a run has finished with it."""
        return self.tried["loss"].notna()

    @property
    def best(self) -> bool:
        """Whether no other combination is before the chosen one by `rank`."""
        ranks = self.tried.loc[self.known, ["steps", "loss", "chosen"]].itertuples(index=False)
        tried = [(rank[:2], rank.chosen) for rank in ranks]
        return bool(self.chosen) and (min(tried)[0], True) in tried

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """The combinations of values that were tried."""
        return [
            {key: plain(value) for key, value in zip(self.keys, row, strict=True)}
            for row in self.tried[self.keys].itertuples(index=False)
        ]

    @property
    def at_edge(self) -> list[str]:
        """The keys whose chosen value was not tried next to a smaller and a larger number."""
        return list(dict.fromkeys(key for key, _ in open_sides(self.chosen, self.combinations)))

    def added(self, key: str, asked: list[Any]) -> list[Any]:
        """Return the values of a key that were tried in addition to those in `asked`."""
        return [value for value in self.values(key) if value not in asked]

    def values(self, key: str) -> list[Any]:
        """Return the distinct values of a key: numbers ascending, other values in their order."""
        values = list(dict.fromkeys(map(plain, self.tried[key])))
        return sorted(values) if all(map(is_number, values)) else values


def rank(run: Mapping[str, Any]) -> tuple[float, float]:
    """Return what orders the runs of a sweep, the best first: steps to the goal, then loss on val.

    A run that reached `trainer.goal` is before one that did not. Runs that reach it have about the
    same loss, because they end there, so the one that did so sooner is better.
    """
    steps = run["steps"] if run.get("ended_by") == "goal" else inf
    return float(steps), float(run[CHOSEN_BY])


@lru_cache(maxsize=1)  # several rules of a fair comparison ask
def sweeps_of(results: Results) -> list[Sweep]:
    """Return the sweep of each condition; empty if the study has no sweep."""
    keys = list(results.study.sweep)
    return [_sweep(condition, keys) for condition in planned(results)] if keys else []


def spelt(choice: dict[str, Any]) -> str:
    """Return a choice in words: "muon_lr 0.02"."""
    return listed(f"{last_part(key)} {setting(value)}" for key, value in choice.items())


def _sweep(condition: Condition, keys: list[str]) -> Sweep:
    rows = []
    counted = condition.runs[condition.runs["chosen"]]
    chosen = {tuple(map(plain, row)) for row in counted[keys].itertuples(index=False)}
    for values, tried in condition.runs[condition.runs["swept"]].groupby(
        keys, sort=False, dropna=False
    ):
        finished = tried[tried["status"] == FINISHED]
        ranks = pd.DataFrame(map(rank, finished.to_dict("records")), columns=["steps", "loss"])
        rows.append(
            dict(zip(keys, values, strict=True))
            | {
                **ranks.mean(),
                "runs": len(tried),
                "finished": len(finished),
                "chosen": tuple(map(plain, values)) in chosen,
            }
        )
    columns = [*keys, "steps", "loss", "runs", "finished", "chosen"]
    tried = pd.DataFrame(rows, columns=columns)
    ordered = [key for key in keys if all(is_number(plain(value)) for value in tried[key])]
    return Sweep(condition, keys, tried.sort_values(ordered) if ordered else tried)
