"""Confidence intervals over the items of a split, by resampling the items."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import stats

LEVEL = 0.95
BATCH = 4_000_000  # items drawn at a time; they take about 32 MB

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% confidence interval. Unknown limits are NaN."""

    value: float
    low: float = nan
    high: float = nan

    @property
    def known(self) -> bool:
        return not np.isnan(self.low + self.high)

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __neg__(self) -> "Interval":
        return Interval(-self.value, -self.high, -self.low)

    def columns(self, name: str, low: str = "low", high: str = "high") -> dict[str, float]:
        """Return the estimate and its limits as three columns of a table row."""
        return {name: self.value, low: self.low, high: self.high}


def resampled_scores(items: np.ndarray, score: Score, resamples: int) -> np.ndarray:
    """Return scores of resampled test sets: items (models, n, k) -> (models, resamples) float64.

    Each resample draws n items with replacement, the same items for every model, so the difference
    of two rows is a paired bootstrap. Every call draws the same resamples.

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


def percentile_interval(value: float, resampled: np.ndarray) -> Interval:
    """Return the percentile interval of the finite ones among resamples (n,)."""
    known = resampled[np.isfinite(resampled)]
    if not known.size:
        return Interval(value)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
