"""Test by simulation how often intervals contain the true value, and how often tests are wrong."""

from math import inf

import numpy as np
import pytest
from scipy import stats

from minitx.metrics.bootstrap import cluster_sums, percentile_interval, resampled_scores
from minitx.metrics.decomposable import MEASURES
from minitx.study.statistics.intervals import (
    difference_interval,
    fraction_interval,
    mean_interval,
)
from minitx.study.statistics.multiple import holm

ROUNDS = 8000
LEAST = 0.93  # of the rounds, for a level of 95%
SEEDS = pytest.mark.parametrize("seeds", [5, 10])

# Scores over seeds, from scores far from their bounds to scores close to them.
SCORES = {
    "loss": (stats.norm(2.2, 0.03), (0, inf)),
    "loss, scattered": (stats.lognorm(0.3, scale=2.2), (0, inf)),
    "half of the words": (stats.beta(50, 50), (0, 1)),
    "word errors": (stats.beta(10, 30), (0, 1)),
    "accuracy": (stats.beta(45, 5), (0, 1)),
    "high accuracy": (stats.beta(198, 2), (0, 1)),
    "nearly perfect": (stats.beta(50, 1), (0, 1)),
    "all over the range": (stats.beta(1, 1), (0, 1)),
    "most at the ends": (stats.beta(0.5, 0.5), (0, 1)),
}


def covered(intervals, truth):
    """The fraction of intervals that contain the truth."""
    return np.mean([each.low <= truth <= each.high for each in intervals])


@SEEDS
@pytest.mark.parametrize("name", SCORES)
def test_means_over_seeds(name, seeds):
    distribution, bounds = SCORES[name]
    drawn = distribution.rvs((ROUNDS, seeds), random_state=np.random.default_rng(seeds))
    found = [mean_interval(values, bounds) for values in drawn]
    assert covered(found, distribution.mean()) >= LEAST
    assert min(each.low for each in found) >= bounds[0]
    assert max(each.high for each in found) <= bounds[1]


@SEEDS
def test_without_bounds_an_interval_is_too_short_and_leaves_the_range(seeds):
    """Why the logit scale: the same accuracies with a plain t interval."""
    distribution = stats.beta(50, 1)
    drawn = distribution.rvs((ROUNDS, seeds), random_state=np.random.default_rng(seeds))
    found = [mean_interval(values) for values in drawn]
    assert covered(found, distribution.mean()) < 0.91
    assert max(each.high for each in found) > 1


@SEEDS
@pytest.mark.parametrize(
    ("first", "second"), [((45, 5), (40, 10)), ((98, 2), (50, 50)), ((1, 1), (1, 1))]
)
def test_differences_of_accuracies(first, second, seeds):
    draw = np.random.default_rng(seeds)
    one, other = (draw.beta(*each, (ROUNDS, seeds)) for each in (first, second))
    truth = first[0] / sum(first) - second[0] / sum(second)
    found = [difference_interval(a, b, (0, 1)) for a, b in zip(one, other, strict=True)]
    assert covered(found, truth) >= LEAST
    assert min(each.low for each in found) >= -1
    assert max(each.high for each in found) <= 1


@SEEDS
def test_differences_of_seeds_that_share_their_batches(seeds):
    draw = np.random.default_rng(seeds)
    shared = draw.normal(0, 0.05, (ROUNDS, seeds))
    one, other = (mean + shared + draw.normal(0, 0.02, shared.shape) for mean in (2.2, 2.17))
    found = [difference_interval(a, b, (0, inf)) for a, b in zip(one, other, strict=True)]
    assert covered(found, 0.03) >= LEAST
    width = np.median([each.high - each.low for each in found])
    unpaired = stats.ttest_ind(one, other, axis=1, equal_var=False).confidence_interval()
    assert width < 0.7 * np.median(unpaired.high - unpaired.low)


@pytest.mark.parametrize("seeds", [4, 5, 10, 30])
def test_success_rates_for_every_chance_of_success(seeds):
    """Not simulated: all outcomes, weighted by their probabilities."""
    hits = np.arange(seeds + 1)
    found = [fraction_interval(int(each), seeds) for each in hits]
    low, high = np.array([(each.low, each.high) for each in found]).T
    for chance in np.linspace(0, 1, 101):
        contained = (low <= chance) & (chance <= high)
        assert stats.binom.pmf(hits, seeds, chance)[contained].sum() >= 0.95


def scenes(draw, worlds, effect=0.0):
    """Differences of items in scenes of very different lengths: (worlds, n, 2), and the scenes."""
    sizes = draw.gamma(1.2, 25, 31).astype(int) + 5
    numbers = np.repeat(np.arange(31), sizes)
    of_scene = draw.normal(0, 0.05, (worlds, 31))[:, numbers]
    parts = effect + of_scene + draw.normal(0, 0.15, (worlds, len(numbers)))
    return np.stack([parts, np.ones_like(parts)], axis=-1), numbers


def test_items_of_a_scene_that_resemble_each_other():
    worlds, effect = 1500, 0.03
    items, numbers = scenes(np.random.default_rng(1), worlds, effect)
    score = MEASURES["loss"].score
    covers = {}
    for name, units in (("items", items), ("scenes", cluster_sums(items, numbers))):
        values, drawn = score(items.sum(axis=1)), resampled_scores(units, score, 1000)
        found = [
            percentile_interval(value, each, units.shape[1])
            for value, each in zip(values, drawn, strict=True)
        ]
        covers[name] = covered(found, effect)
    assert covers["scenes"] >= LEAST
    assert covers["items"] < 0.75


def test_independent_items_lose_nothing():
    draw = np.random.default_rng(2)
    parts = draw.gamma(4, 0.25, (1000, 120))
    items = np.stack([parts, np.ones_like(parts)], axis=-1)
    score = MEASURES["loss"].score
    drawn = resampled_scores(cluster_sums(items, np.arange(120)), score, 1000)
    found = [
        percentile_interval(value, each, 120)
        for value, each in zip(parts.mean(axis=1), drawn, strict=True)
    ]
    assert covered(found, 1) >= LEAST


def error_rate(rounds, corrected):
    """How often one true hypothesis or more is rejected, of the pairs of five arms.

    The arms share their seeds' batches. The last arm is really worse, so that Holm's steps matter.
    """
    draw = np.random.default_rng(3)
    wrong = 0
    for _ in range(rounds):
        scores = draw.normal(0, 0.05, 5) + draw.normal(2, 0.02, (5, 5))
        scores[4] += 0.2
        pairs = [(a, b) for a in range(5) for b in range(a)]
        p_values = [difference_interval(scores[a], scores[b], (0, inf)).p for a, b in pairs]
        tested = holm(p_values) if corrected else np.array(p_values)
        wrong += any(p <= 0.05 for p, (a, _) in zip(tested, pairs, strict=True) if a < 4)
    return wrong / rounds


def test_a_report_seldom_has_a_wrong_claim():
    rounds = 4000
    error = 3 * np.sqrt(0.05 * 0.95 / rounds)  # of the simulation
    assert error_rate(rounds, corrected=True) <= 0.05 + error
    assert error_rate(rounds, corrected=False) > 0.1
