"""Confidence intervals over the items of a split, by resampling the items or clusters of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np
from scipy import stats

LEVEL = 0.95
LEAST_UNITS = 4  # items or clusters; fewer tell too little about others for an interval
BATCH = 4_000_000  # items drawn at a time; they take about 32 MB

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% confidence interval. Unknown limits are NaN.

    `p` is the p-value of the hypothesis that the true value is 0, two-sided, NaN if it is unknown.
    """

    value: float
    low: float = nan
    high: float = nan
    p: float = nan

    @property
    def known(self) -> bool:
        return not np.isnan(self.low + self.high)

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __neg__(self) -> "Interval":
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def columns(self, name: str, low: str = "low", high: str = "high") -> dict[str, float]:
        """Return the estimate and its limits as three columns of a table row."""
        return {name: self.value, low: self.low, high: self.high}


def cluster_sums(items: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Add up the items of each cluster: items (models, n, k) -> (models, clusters, k).

    `clusters` int64 (n,) are the numbers of the clusters that items belong to. A bootstrap over
    these sums resamples clusters: the items of a cluster resemble each other, so that drawing them
    separately makes intervals too narrow.

    Source: Field and Welsh 2007, "Bootstrapping clustered data".
    """
    names, numbers = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), len(items), items.shape[2]))
    np.add.at(sums, numbers, items.swapaxes(0, 1))
    return sums.swapaxes(0, 1)


def resampled_scores(items: np.ndarray, score: Score, resamples: int) -> np.ndarray:
    """Return scores of resampled test sets: items (models, n, k) -> (models, resamples) float64.

    Each resample draws n items with replacement, the same items for every model, so the difference
    of two rows is a paired bootstrap. Every call draws the same resamples. To resample clusters of
    items, pass their `cluster_sums`.

    `score` maps sums (..., k) to scores (...). Raises ValueError if there are no items.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; paired: Koehn 2004,
    "Statistical significance tests for machine translation evaluation", section 5.
    """
    models, n, k = items.shape
    if not n:
        raise ValueError("no items to draw from")
    by_item = items.transpose(1, 0, 2).reshape(n, models * k)

    def score_draws(drawn: np.ndarray, axis: int) -> np.ndarray:
        """drawn (draws, n), the numbers of the items -> scores (models, draws)."""
        draws = len(drawn)
        places = drawn + n * np.arange(draws)[:, None]
        counts = np.bincount(places.ravel(), minlength=draws * n).reshape(draws, n)
        sums = (counts.astype(float) @ by_item).reshape(draws, models, k)
        return score(sums.transpose(1, 0, 2))

    if n == 1:  # scipy refuses a single item, and every resample is the same
        return np.repeat(score(items.sum(axis=1))[:, None], resamples, axis=1)
    found = stats.bootstrap(
        (np.arange(n),),
        score_draws,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH // n),
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    return np.reshape(found.bootstrap_distribution, (models, resamples))


def percentile_interval(value: float, resampled: np.ndarray, size: float = inf) -> Interval:
    """Return the percentile interval of the finite resamples (n,), and its p-value.

    `size` is the number of items or clusters that were resampled. If they are few, resamples vary
    too little, and the percentiles of a normal distribution give too narrow an interval. Therefore
    the percentiles are those of the t interval of a mean of `size` values ("expanded"). The
    interval is unknown if there are fewer than `LEAST_UNITS`.

    Source: Hesterberg 2015, "What teachers should know about the bootstrap".
    """
    known = resampled[np.isfinite(resampled)]
    if not known.size or size < LEAST_UNITS:
        return Interval(value)
    stretch = (1 - 1 / size) ** -0.5
    outside = stats.norm.sf(stretch * stats.t.ppf((1 + LEVEL) / 2, size - 1))
    low, high = np.quantile(known, [outside, 1 - outside])
    beyond = (1 + min((known <= 0).sum(), (known >= 0).sum())) / (1 + known.size)
    p = 2 * stats.t.sf(stats.norm.isf(beyond) / stretch, size - 1)
    return Interval(value, float(low), float(high), min(1.0, float(p)))
