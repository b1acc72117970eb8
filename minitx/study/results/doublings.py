"""What each doubling of the context gains: the decrease of the loss of the same tokens."""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from minitx.study.results.conditions import Condition, conditions_of
from minitx.study.results.results import Results

PRECISION = 1e-6  # of a loss, relative: models compute in float32


@dataclass(frozen=True)
class Doublings:
    """The losses of a condition by context.

    `losses` has a row for each seed and a column for each context, in nats/token. `clusters` has
    the sums that they are computed from, by seed: a row for each cluster of test, with a column for
    the nats at each context, and the number of `targets` last.
    """

    condition: Condition
    losses: pd.DataFrame
    clusters: dict[int, pd.DataFrame]

    @property
    def gains(self) -> dict[int, pd.Series]:
        """The decreases of the loss (seeds,) from context to context, by the longer one.

        Those that the precision of the losses does not tell from zero are zero.
        """
        found = {}
        for before, after in pairwise(self.losses.columns):
            gain = self.losses[before] - self.losses[after]
            found[after] = gain.where(gain.abs() > PRECISION * self.losses[before], 0.0)
        return found

    def same_targets(self, other: "Doublings", seeds: list[int]) -> bool:
        """Return whether both have the same targets of the same corpus, with each of the seeds."""
        tables = [each.clusters[seed] for each in (self, other) for seed in seeds]
        first = tables[0]
        return self.condition.corpus == other.condition.corpus and all(
            list(table) == list(first) and table["targets"].equals(first["targets"])
            for table in tables
        )


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
        targets = table.groupby("cluster")["targets"].first()
        clusters[seeds[table["key"].iloc[0]]] = by_context.assign(targets=targets)
    sums = pd.DataFrame({seed: table.sum() for seed, table in clusters.items()}).T
    losses = sums.drop(columns="targets").div(sums["targets"], axis=0) if len(sums) else sums
    return Doublings(condition, losses, clusters)
