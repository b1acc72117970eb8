"""What the sweep of a study tried for each cell of the grid, and what was chosen."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from minitx.study.cells import Cell, cells_of
from minitx.study.results import FINISHED, Results
from minitx.study.words import listed, number

CHOSEN_BY = "val/loss"


@dataclass(frozen=True)
class Sweep:
    """The rates of a cell: `tried` has a row for each, with its mean loss on val.

    The columns of `tried` are the study's swept keys (`keys`), `loss` (NaN where no run finished),
    `runs` and `finished`, and `chosen`.
    """

    cell: Cell
    keys: list[str]
    tried: pd.DataFrame

    @property
    def chosen(self) -> dict[str, Any]:
        """The value of each key; empty where nothing was chosen, as no run has finished."""
        rows = self.tried[self.tried["chosen"] & self.tried["loss"].notna()]
        return {key: rows[key].iloc[0] for key in self.keys} if len(rows) else {}

    @property
    def best(self) -> bool:
        """Whether the one that was chosen has the lowest loss of all."""
        losses = self.tried.set_index("chosen")["loss"]
        return bool(self.chosen) and float(losses[True]) == losses.min()

    @property
    def at_edge(self) -> list[str]:
        """Keys whose chosen value is the smallest or the largest of those that were tried."""
        edges = []
        for key, value in self.chosen.items():
            values = self.tried[key]
            if values.nunique() > 1 and value in (values.min(), values.max()):
                edges.append(key)
        return edges


def sweeps_of(results: Results) -> list[Sweep]:
    """For each cell what was tried for it; none where the study sweeps nothing."""
    keys = list(results.study.sweep)
    return [_sweep(results, cell, keys) for cell in cells_of(results)] if keys else []


def spelt(rate: dict[str, Any]) -> str:
    """A choice in words: "matrix_lr 0.02"."""
    return listed([f"{key.rpartition('.')[2]} {number(value)}" for key, value in rate.items()])


def _sweep(results: Results, cell: Cell, keys: list[str]) -> Sweep:
    runs = results.runs
    of_cell = runs["swept"] & (runs["arm"] == cell.arm)
    for axis, value in zip(cell.axes, cell.point, strict=True):
        of_cell &= runs[axis] == value
    rows = []
    for values, tried in runs[of_cell].groupby(keys):
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
    return Sweep(cell, keys, pd.DataFrame(rows, columns=columns))
