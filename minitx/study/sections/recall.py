"""Associative recall: how far back, and how many pairs, an arm remembers."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from minitx.study.cells import Cell, cells_of, lines_along
from minitx.study.results import Results
from minitx.study.sections import Section
from minitx.study.sections.axis import spell
from minitx.study.statistics import Interval, mean_interval, share_interval
from minitx.study.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.words import at, count, number

PAIRS = "task.pairs"
LEVELS = (0.99, 0.9)  # of accuracy, below which an arm is said to fall


def section(results: Results) -> Section | None:
    if PAIRS not in results.axes:
        return None
    answers = {cell.name: _answers(results, cell) for cell in cells_of(results)}
    cells = [cell for cell in cells_of(results) if len(answers[cell.name])]
    if not cells:
        return None
    lines = lines_along(PAIRS, cells)
    pairs = _most_apart(cells, answers)
    table = pd.concat([_by_distance(cell, answers[cell.name]) for cell in cells])
    accuracies = {cell.name: _over_seeds(answers[cell.name]) for cell in cells}
    return Section(
        name="recall",
        title="How much they remember, and how far back",
        table=table.reset_index(drop=True),
        figure=_figure(results, lines, table, accuracies, pairs),
        sentences=[
            *(_limits(name, line, accuracies) for name, line in lines.items()),
            *(_ends(cell, table) for cell in cells if cell.on(PAIRS) == pairs),
        ],
        answers=len(lines),
        comparisons=_by_pairs(cells, accuracies),
        note=(
            "Left: accuracy on the queries of test by the number of pairs; bands: 95% intervals over "
            "seeds (t). Right: by how far back the key stood, in tokens, with the number of pairs at "
            "which the arms lie farthest apart; bands: Wilson's 95% intervals over the queries of all "
            "seeds, as if these were independent of each other."
        ),
    )


def _answers(results: Results, cell: Cell) -> pd.DataFrame:
    """All queries of all seeds of a cell: `key`, `distance` in tokens, `right`."""
    found = [
        results.details[key]["recall"].assign(key=key)
        for key in cell.finished["key"]
        if "recall" in results.details.get(key, {})
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _over_seeds(answers: pd.DataFrame) -> Interval:
    return mean_interval(answers.groupby("key")["right"].mean().to_numpy(float))


def _most_apart(cells: list[Cell], answers: dict[str, pd.DataFrame]) -> int:
    """The number of pairs with the largest difference between two arms; of several the largest."""
    ends: dict[int, list[float]] = {}
    for cell in cells:
        ends.setdefault(cell.on(PAIRS), []).append(answers[cell.name]["right"].mean())
    return max(ends, key=lambda pairs: (max(ends[pairs]) - min(ends[pairs]), pairs))


def _by_distance(cell: Cell, answers: pd.DataFrame) -> pd.DataFrame:
    """A row for each doubling of the distance: 1, 2 to 3, 4 to 7, ... tokens."""
    rows = []
    for power, queries in answers.groupby(np.log2(answers["distance"]).astype(int)):
        share = share_interval(int(queries["right"].sum()), len(queries))
        rows.append(
            {
                "arm": cell.without(PAIRS)[0],
                "pairs": cell.on(PAIRS),
                "distance from": 2**power,
                "to": 2 ** (power + 1) - 1,
                "mean distance": queries["distance"].mean(),
                "accuracy": share.value,
                "low": share.low,
                "high": share.high,
                "queries": len(queries),
            }
        )
    return pd.DataFrame(rows)


def _by_pairs(cells: list[Cell], accuracies: dict[str, Interval]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": cell.arm,
                "pairs": cell.on(PAIRS),
                "accuracy, mean": accuracies[cell.name].value,
                "low": accuracies[cell.name].low,
                "high": accuracies[cell.name].high,
                "seeds": len(cell.finished),
            }
            for cell in cells
        ]
    )
