"""What each doubling of the context gains: differences between models, and words for gains."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from minitx.drawing.formatting import count, decimals, listed
from minitx.metrics.bootstrap import Interval, percentile_interval, resampled_scores
from minitx.study.report.differences import RESAMPLES
from minitx.study.report.verdict import evidence, is_shown, larger_p, no_interval
from minitx.study.results.conditions import Pair
from minitx.study.results.doublings import Doublings
from minitx.study.statistics.intervals import difference_interval


@dataclass(frozen=True)
class GainDifference:
    """By how much what a doubling gains differs: first minus second, in nats/token.

    The doubling ends at `context` tokens. `items` has the difference of the pooled runs with its
    interval over clusters of test items, and `seeds` that of the means over `shared` seeds. `p` is
    the larger p-value, or that over items if there are too few seeds.
    """

    first: str
    second: str
    context: int
    shared: int
    items: Interval
    seeds: Interval
    p: float

    @property
    def leader(self) -> str:
        """The condition that is shown to gain more, or an empty string if none is."""
        if not is_shown(self.items, self.seeds, self.p):
            return ""
        return self.first if self.seeds.value > 0 else self.second

    def size(self, tests: int) -> str:
        """Return by how much the leader gains more: "0.0017 nats/token (95% interval ...; p ...)".

        `p` was corrected for all `tests` of the report.
        """
        figures = evidence(self.items, self.seeds, self.shared, self.p, tests, nats)
        return f"{nats(abs(self.seeds.value))} nats/token ({figures})"


def gain_differences(measured: dict[str, Doublings], pairs: list[Pair]) -> list[GainDifference]:
    """Compare each doubling of the two conditions of each pair.

    Left out are pairs that were not measured on the same targets, or share no seed. The p-values
    are not corrected.
    """
    found = []
    for names in ([condition.name for condition in pair] for pair in pairs):
        if not all(name in measured for name in names):
            continue
        one, other = (measured[name] for name in names)
        shared = list(one.losses.index.intersection(other.losses.index))
        if shared and one.same_targets(other, shared):
            found += _differences(one, other, shared)
    return found


def _differences(one: Doublings, other: Doublings, seeds: list[int]) -> list[GainDifference]:
    sides = one, other
    pooled = np.stack(
        [np.sum([side.clusters[seed].to_numpy() for seed in seeds], axis=0) for side in sides]
    )
    first, second = (side.condition.name for side in sides)
    found = []
    for at, context in enumerate(sides[0].gains):
        terms = pooled[:, :, [at, at + 1, -1]]  # (2, clusters, 3): nats before and after, targets
        values, resampled = _gain(terms.sum(axis=1)), resampled_scores(terms, _gain, RESAMPLES)
        items = percentile_interval(
            float(values[0] - values[1]), resampled[0] - resampled[1], terms.shape[1]
        )
        of_seeds = difference_interval(*(side.gains[context][seeds] for side in sides))
        p = larger_p(items, of_seeds)
        found.append(GainDifference(first, second, context, len(seeds), items, of_seeds, p))
    return found


def verdicts(differences: list[GainDifference], claim: bool, tests: int) -> list[str]:
    """Return sentences about a pair: from which doublings each of the two gains more.

    `claim` is whether the report may say that this holds for more than these runs.
    """
    pair = differences[0].first, differences[0].second
    led = {name: [each for each in differences if each.leader == name] for name in (*pair, "")}
    sentences = []
    for name, other in (pair, pair[::-1]):
        if not led[name]:
            continue
        general = claim and all(each.seeds.known for each in led[name])
        gains, runs = ("gains", "") if general else ("gained", " in these runs")
        which = "last of these" if len(led[name]) > 1 else "doubling"
        sentences.append(
            f"{name} {gains} more than {other} from {_doublings(led[name])}{runs}: from the "
            f"{which} by {led[name][-1].size(tests)}."
        )
    if led[""]:
        known = [each.p for each in led[""] if not np.isnan(each.p)]
        least = f" ({'corrected ' * (tests > 1)}p at least {min(known):.3f})" if known else ""
        sentences.append(
            f"No difference between {' and '.join(pair)} is shown in what {_doublings(led[''])} "
            f"gain{'s' * (len(led['']) == 1)}{least}."
        )
    return sentences


def _doublings(differences: list[GainDifference]) -> str:
    contexts = listed(f"{each.context:,}" for each in differences)
    return f"the doubling{'s' * (len(differences) > 1)} of the context to {contexts} tokens"


def _gain(sums: np.ndarray) -> np.ndarray:
    """Return the gain of sums (..., 3): nats before and after a doubling, and targets."""
    gain: np.ndarray = (sums[..., 0] - sums[..., 1]) / sums[..., 2]
    return gain


def shown_gains(gains: Mapping[int, Interval]) -> list[int]:
    """Return the keys up to the first gain that is not shown: each of these lowers the loss."""
    return list(takewhile(lambda key: gains[key].low > 0, gains))


def change(gain: Interval, seeds: int, what: str) -> str:
    """Return what a gain does: "lowers the loss of lstm by 0.0016 nats/token (95% ...)"."""
    verb = "lowers" if gain.value >= 0 else "raises"
    return f"{verb} {what} by {nats(abs(gain.value))} nats/token ({over_seeds(gain, seeds)})"


def over_seeds(gain: Interval, seeds: int) -> str:
    """Return how sure the size of a gain is: "95% interval over 4 seeds 0.0101 to 0.0113".

    The interval is that of the absolute value that the sentence states before it.
    """
    if not gain.known:
        return f"{count(seeds, 'seed')}, {no_interval(seeds)}"
    size = gain if gain.value >= 0 else -gain
    unsure = "" if gain.excludes_zero else ", so no effect is shown"
    return f"95% interval over {count(seeds, 'seed')} {nats(size.low)} to {nats(size.high)}{unsure}"


def nats(value: float) -> str:
    """Format a loss: with four decimals, and with five if it is smaller than 0.001."""
    return decimals(value, 4 if abs(value) >= 0.001 or not value else 5)
