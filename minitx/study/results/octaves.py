"""The loss between doublings of the context ("octaves"), and what each doubling gains."""

from itertools import pairwise

import numpy as np
import pandas as pd

from minitx.metrics.bootstrap import Interval
from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import difference_interval


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
    end, ends = int(positions["position"].max()), []
    while end:
        ends.append(end)
        end //= 2
    ends.reverse()
    octave = np.searchsorted(ends, positions["position"])
    total = (positions["nats"] * positions["count"]).groupby(octave).sum()
    means = total / positions["count"].groupby(octave).sum()
    return means.set_axis(ends)


def gains_of(losses: pd.DataFrame) -> dict[int, np.ndarray]:
    """Return the decreases of the loss (seeds,) from octave to octave, by the end of the latter."""
    return {
        after: (losses[before] - losses[after]).to_numpy()
        for before, after in pairwise(losses.columns)
    }


def last_gain_differences(measured: dict[str, pd.DataFrame]) -> dict[str, Interval]:
    """Compare the last gain of the first condition with that of each other with the same context.

    Return the difference over seeds, first minus other, by the other's name, if there are enough
    seeds for its interval.
    """
    (first, *others) = measured.items() or [("", pd.DataFrame())]
    losses, found = first[1], {}
    for name, other in others:
        if list(other.columns) == list(losses.columns):
            shared = losses.index.intersection(other.index)
            last = losses.columns[-1]
            one, another = (gains_of(each.loc[shared])[last] for each in (losses, other))
            if (difference := difference_interval(one, another)).known:
                found[name] = difference
    return found
