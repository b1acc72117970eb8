"""What each doubling of the context gains: the decrease of the loss of the same tokens."""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results


@dataclass(frozen=True)
class Doublings:
    """The losses of a condition by context.

    `losses` has a row for each seed and a column for each context, in nats/token. `clusters` has
    the sums that they are computed from, by seed: a row for each cluster of test, with a column for
    the nats at each context, and the `tokens` last.
    """

    condition: Condition
    losses: pd.DataFrame
    clusters: dict[int, pd.DataFrame]

    @property
    def gains(self) -> dict[int, pd.Series]:
        """The decreases of the loss (seeds,) from context to context, by the longer one."""
        steps = pairwise(self.losses.columns)
        return {after: self.losses[before] - self.losses[after] for before, after in steps}

    def same_targets(self, other: "Doublings") -> bool:
        """Return whether the other was measured on the same tokens of the same corpus."""
        mine, theirs = (next(iter(each.clusters.values())) for each in (self, other))
        same = list(mine) == list(theirs) and mine["tokens"].equals(theirs["tokens"])
        return same and self.condition.corpus == other.condition.corpus


def measured_doublings(results: Results) -> dict[str, Doublings]:
    """Return the losses by context of each condition that was measured, by its name.

    A context of one token has no doubling, and is left out.
    """
    found = {each.name: _of_condition(results, each) for each in conditions_of(results)}
    return {name: each for name, each in found.items() if len(each.losses.columns) > 1}


def _of_condition(results: Results, condition: Condition) -> Doublings:
    seeds = condition.finished.set_index("key")["seed"]
    clusters = {}
    for table in condition.details(results, "doublings"):
        by_context = table.pivot(index="cluster", columns="context", values="nats")
        tokens = table.groupby("cluster")["tokens"].first()
        clusters[seeds[table["key"].iloc[0]]] = by_context.assign(tokens=tokens)
    sums = pd.DataFrame({seed: table.sum() for seed, table in clusters.items()}).T
    losses = sums.drop(columns="tokens").div(sums["tokens"], axis=0) if len(sums) else sums
    return Doublings(condition, losses, clusters)
