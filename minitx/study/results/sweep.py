"""What the sweep of a study tried for each condition of the grid, and what was chosen."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from minitx.study.formatting import are_numbers, listed, setting
from minitx.study.results.conditions import Condition, plain, planned
from minitx.study.results.results import FINISHED, Results

CHOSEN_BY = "val/loss"


@dataclass(frozen=True)
class Sweep:
    """The rates of a condition: `tried` has a row for each, with its mean loss on val.

    The columns of `tried` are the study's swept keys (`keys`), `loss` (NaN where no run finished),
    `runs` and `finished`, and `chosen`.
    """

    condition: Condition
    keys: list[str]
    tried: pd.DataFrame

    @property
    def chosen(self) -> dict[str, Any]:
        """The value of each key; empty where nothing was chosen, as no run has finished."""
        rows = self.tried[self.tried["chosen"] & self.known]
        return {key: plain(rows[key].iloc[0]) for key in self.keys} if len(rows) else {}

    @property
    def known(self) -> pd.Series:
        """Of each rate whether a run has finished with it."""
        return self.tried["loss"].notna()

    @property
    def best(self) -> bool:
        """Whether the one that was chosen has the lowest loss of all."""
        losses = self.tried.set_index("chosen")["loss"]
        return bool(self.chosen) and float(losses[True]) == losses.min()

    @property
    def at_edge(self) -> list[str]:
        """Keys whose chosen value is the smallest or the largest of the numbers that were tried."""
        edges = []
        for key, value in self.chosen.items():
            values = self.values(key)
            if len(values) > 1 and are_numbers(values) and value in (min(values), max(values)):
                edges.append(key)
        return edges

    def values(self, key: str) -> list[Any]:
        """What was tried for a key, each value once: numbers ascending, others as they came."""
        values = list(dict.fromkeys(map(plain, self.tried[key])))
        return sorted(values) if are_numbers(values) else values


def sweeps_of(results: Results) -> list[Sweep]:
    """For each condition what was tried for it; none where the study sweeps nothing."""
    keys = list(results.study.sweep)
    return [_sweep(condition, keys) for condition in planned(results)] if keys else []


def spelt(rate: dict[str, Any]) -> str:
    """A choice in words: "muon_lr 0.02"."""
    return listed([f"{key.rpartition('.')[2]} {setting(value)}" for key, value in rate.items()])


def _sweep(condition: Condition, keys: list[str]) -> Sweep:
    rows = []
    for values, tried in condition.runs[condition.runs["swept"]].groupby(
        keys, sort=False, dropna=False
    ):
        finished = tried[tried["status"] == FINISHED]
        rows.append(
            dict(zip(keys, values, strict=True))
            | {
                "loss": finished[CHOSEN_BY].mean(),
                "runs": len(tried),
                "finished": len(finished),
                "chosen": bool(tried["chosen"].any()),
            }
        )
    columns = [*keys, "loss", "runs", "finished", "chosen"]
    tried = pd.DataFrame(rows, columns=columns)
    ordered = [key for key in keys if are_numbers(map(plain, tried[key]))]
    return Sweep(condition, keys, tried.sort_values(ordered) if ordered else tried)
