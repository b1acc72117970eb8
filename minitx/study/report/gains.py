"""What each doubling of the context gains: differences between models, and words for gains."""

from dataclasses import dataclass

import numpy as np

from minitx.drawing.formatting import count, decimals
from minitx.metrics.bootstrap import Interval, percentile_interval, resampled_scores
from minitx.study.report.differences import RESAMPLES
from minitx.study.report.verdict import no_interval, probability
from minitx.study.results.doublings import Doublings
from minitx.study.statistics.intervals import difference_interval
from minitx.study.statistics.multiple import LEVEL


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

    def sentence(self, claim: bool, tests: int) -> str:
        """Return a verdict with its figures. `p` was corrected for all `tests` of the report.

        `claim` is whether the report may say that this holds for more than these runs.
        """
        more, less, items, seeds = self.first, self.second, self.items, self.seeds
        if seeds.value < 0:
            more, less, items, seeds = less, more, -items, -seeds
        doubling = f"the doubling to {self.context:,} tokens"
        if not (self.p <= LEVEL and items.value * seeds.value > 0):
            verdict = f"No difference between {more} and {less} is shown in what {doubling} gains"
        elif claim and seeds.known:
            verdict = f"{more} gains more than {less} from {doubling}"
        else:
            verdict = f"{more} gained more than {less} from {doubling} in these runs"
        evidence = self._evidence(items, seeds, tests)
        size = f"{nats(seeds.value)} nats/token"
        return f"{verdict}: the gain of {more} is larger by {size} ({evidence})."

    def _evidence(self, items: Interval, seeds: Interval, tests: int) -> str:
        over = f"over {count(self.shared, 'shared seed')}"
        intervals = {"over test items": items, over: seeds}
        parts = [
            f"{what} {nats(each.low)} to {nats(each.high)}"
            for what, each in intervals.items()
            if each.known
        ]
        words = [f"95% interval {', '.join(parts)}"] if parts else []
        words += [] if seeds.known else [f"{over}, {no_interval(self.shared)}"]
        if not np.isnan(self.p):
            name = "corrected p" if tests > 1 else "p"
            words.append(f"{name} {probability(self.p)}")
        return "; ".join(words)


def gain_differences(measured: dict[str, Doublings]) -> list[list[GainDifference]]:
    """Compare each doubling of the first condition with that of each other: a list for each pair.

    Left out are conditions with other targets, and those that share no seed with the first one.
    The p-values are not corrected.
    """
    if not measured:
        return []
    first, *others = measured.items()
    found = []
    for other in others:
        one, another = first[1], other[1]
        shared = list(one.losses.index.intersection(another.losses.index))
        if shared and one.same_targets(another):
            found.append(_differences(first, other, shared))
    return found


def _differences(
    first: tuple[str, Doublings], second: tuple[str, Doublings], seeds: list[int]
) -> list[GainDifference]:
    sides = first[1], second[1]
    pooled = np.stack(
        [np.sum([side.clusters[seed].to_numpy() for seed in seeds], axis=0) for side in sides]
    )
    found = []
    for at, context in enumerate(sides[0].gains):
        terms = pooled[:, :, [at, at + 1, -1]]  # (2, clusters, 3): nats before and after, tokens
        one, other = _gain(terms.sum(axis=1))
        ones, others = resampled_scores(terms, _gain, RESAMPLES)
        items = percentile_interval(float(one - other), ones - others, terms.shape[1])
        of_seeds = difference_interval(*(side.gains[context][seeds] for side in sides))
        p = items.p if np.isnan(of_seeds.p) else float(np.maximum(items.p, of_seeds.p))
        found.append(GainDifference(first[0], second[0], context, len(seeds), items, of_seeds, p))
    return found


def _gain(sums: np.ndarray) -> np.ndarray:
    """Return the gain of sums (..., 3): nats before and after a doubling, and tokens."""
    gain: np.ndarray = (sums[..., 0] - sums[..., 1]) / sums[..., 2]
    return gain


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
    return decimals(value, 4)
