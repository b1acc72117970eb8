"""The loss at the positions between doublings of the context ("octaves")."""

import numpy as np
import pandas as pd

from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.lengths import doublings


def measured_octaves(results: Results) -> dict[str, pd.DataFrame]:
    """Return a row for each seed and a column per octave, for each condition that was measured.

    A context of one token has no doubling, and is left out.
    """
    found = {each.name: _of_seeds(results, each) for each in conditions_of(results)}
    return {name: losses for name, losses in found.items() if len(losses.columns) > 1}


def _of_seeds(results: Results, condition: Condition) -> pd.DataFrame:
    seeds = condition.finished.set_index("key")["seed"]
    return pd.DataFrame(
        {
            seeds[table["key"].iloc[0]]: octaves(table)
            for table in condition.details(results, "positions")
        }
    ).T


def octaves(positions: pd.DataFrame) -> pd.Series:
    """Return the mean loss between doublings of the context: at positions 1, 2, 3 to 4, 5 to 8, ...

    `positions` has a row for each `position` (1, 2, ...), with the mean `nats` of `count` tokens.
    The index is the last position of each octave. The last octave ends with the context, the one
    before it at half of the context, and so on.
    """
    ends = doublings(int(positions["position"].max()))
    octave = np.searchsorted(ends, positions["position"])
    total = (positions["nats"] * positions["count"]).groupby(octave).sum()
    means = total / positions["count"].groupby(octave).sum()
    return means.set_axis(ends)
