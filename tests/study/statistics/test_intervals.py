"""Test intervals against scipy's, against known figures, and by their coverage."""

import numpy as np
import pytest
from scipy import stats

from minitx.metrics import bootstrap
from minitx.metrics.bootstrap import percentile_interval, resampled_scores
from minitx.metrics.decomposable import MEASURES
from minitx.study.report.comparison import RESAMPLES
from minitx.study.statistics.intervals import (
    difference_interval,
    fraction_interval,
    mean_interval,
)

RATIO = MEASURES["loss"].score
# Two sums of the same n positive numbers in different orders differ by n EPS of their size at most.
EPS = np.finfo(float).eps


def ends(interval):
    return interval.low, interval.high


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(1).normal(2.2, 0.03, 5)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert ends(mean_interval(values)) == pytest.approx(expected)
    assert ends(mean_interval([1.0, 2.0, 3.0])) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_one_value_has_no_interval_and_none_no_mean():
    assert mean_interval([2.5]).value == 2.5
    assert not mean_interval([2.5]).known
    assert np.isnan(mean_interval([]).value)
    assert not mean_interval([2.5]).excludes_zero  # nothing is known of it


def test_the_interval_of_a_difference_is_welchs():
    draw = np.random.default_rng(2)
    first, second = draw.normal(2.2, 0.01, 3), draw.normal(2.1, 0.05, 5)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert ends(difference_interval(first, second)) == pytest.approx((expected.low, expected.high))


def test_seeds_that_do_not_vary_tell_nothing_of_others():
    found = difference_interval([0.99] * 3, [0.5] * 3)
    assert found.value == pytest.approx(0.49)
    assert not found.known


@pytest.mark.parametrize(("first", "second"), [([1.0], [2.0, 2.1, 2.2]), ([1.0], [2.0])])
def test_a_difference_with_one_seed_has_no_interval(first, second):
    assert difference_interval(first, second).value < 0
    assert not difference_interval(first, second).known


def test_shares_stay_within_zero_and_one():
    assert fraction_interval(100, 100).high == 1
    assert fraction_interval(0, 100).low == 0
    # Wilson's interval for 8 of 10, as Newcombe 1998 computes it.
    assert ends(fraction_interval(8, 10)) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def items_of(draw, seeds, n, level):
    wholes = draw.integers(20, 60, n).astype(float)
    parts = level * wholes * draw.gamma(9, 1 / 9, (seeds, n))
    return np.stack([parts, np.broadcast_to(wholes, (seeds, n))], axis=-1)


def paired(first, second, resamples):
    """As a comparison does it: the seeds of a model pooled, both models from the same draws."""
    pooled = np.stack([first.sum(axis=0), second.sum(axis=0)])
    one, other = RATIO(pooled.sum(axis=1))
    drawn = resampled_scores(pooled, RATIO, resamples)
    return percentile_interval(float(one - other), drawn[0] - drawn[1])


def test_draws_in_pairs_agree_with_scipys_bootstrap():
    draw = np.random.default_rng(3)
    first = items_of(draw, 1, 300, 1.5)
    second = first * [0.98, 1] + draw.normal(0, 0.5, (1, 300, 1)) * [1, 0]

    def difference(a, b, wholes, axis):
        return a.sum(axis) / wholes.sum(axis) - b.sum(axis) / wholes.sum(axis)

    expected = stats.bootstrap(
        (first[0, :, 0], second[0, :, 0], first[0, :, 1]),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=10_000,
        method="percentile",
        random_state=np.random.default_rng(4),
    ).confidence_interval
    found = paired(first, second, RESAMPLES)
    assert ends(found) == pytest.approx((expected.low, expected.high), abs=4e-4)
    assert found.value == pytest.approx(
        float(RATIO(first[0].sum(axis=0)) - RATIO(second[0].sum(axis=0)))
    )


def test_pairs_draw_the_same_items_and_every_call_the_same_draws():
    draw = np.random.default_rng(5)
    items = items_of(draw, 3, 200, 1.5)
    same = paired(items, items, 500)
    assert (same.value, *ends(same)) == pytest.approx((0, 0, 0), abs=200 * EPS * 2)
    worse = items * [1.1, 1]  # by a tenth, whatever is drawn
    apart = paired(worse, items, 500)
    alone = resampled_scores(items.sum(axis=0)[None], RATIO, 500)
    assert apart.high - apart.low == pytest.approx(0.1 * np.ptp(np.quantile(alone, [0.025, 0.975])))
    assert paired(worse, items, 500) == apart


def test_seeds_are_pooled_by_their_sums():
    draw = np.random.default_rng(6)
    first, second = items_of(draw, 3, 100, 1.5), items_of(draw, 2, 100, 1.4)
    difference = paired(first, second, 100).value
    means = [float(np.mean([RATIO(seed.sum(axis=0)) for seed in each])) for each in (first, second)]
    assert difference == pytest.approx(means[0] - means[1])


def test_bleu_is_resampled_row_by_row():
    right = np.array([[9, 9, 8, 6, 4, 2, 9, 8, 7, 6.0], [7, 7, 7, 6, 5, 4, 7, 6, 5, 4.0]])
    items = np.tile(right, (30, 1))[None]
    bleu = MEASURES["bleu"]
    found = resampled_scores(items, bleu.score, 50)
    assert found.shape == (1, 50)
    assert found.min() < bleu.of(items[0]) < found.max()


def test_many_draws_are_made_a_part_at_a_time(monkeypatch):
    items = items_of(np.random.default_rng(8), 2, 40, 1.5)
    whole = resampled_scores(items, RATIO, 100)
    monkeypatch.setattr(bootstrap, "BATCH", 7 * 40)
    np.testing.assert_allclose(resampled_scores(items, RATIO, 100), whole, rtol=40 * EPS)


def test_a_single_item_is_drawn_every_time():
    np.testing.assert_array_equal(
        resampled_scores(np.array([[[3.0, 2.0]], [[1.0, 2.0]]]), RATIO, 3), [[1.5] * 3, [0.5] * 3]
    )


def test_percentiles_leave_out_what_is_not_known():
    values = np.concatenate([np.arange(1001.0), [np.nan, np.inf]])
    assert ends(percentile_interval(500, values)) == pytest.approx((25, 975))
    assert not percentile_interval(1, np.array([np.nan])).known


def test_intervals_hold_as_often_as_they_say():
    draw = np.random.default_rng(9)
    students = welchs = bootstraps = 0
    rounds = 400
    for _ in range(rounds):
        first, second = draw.normal(2, 0.1, 3), draw.normal(1.5, 0.3, 4)
        mean = mean_interval(first)
        students += mean.low <= 2 <= mean.high
        apart = difference_interval(first, second)
        welchs += apart.low <= 0.5 <= apart.high
        hard = draw.gamma(4, 0.25, (1, 80, 1))
        one, other = (
            np.concatenate([level * hard + draw.normal(0, 0.1, hard.shape), hard**0], axis=-1)
            for level in (1.5, 1.4)
        )
        found = paired(one, other, 300)
        bootstraps += found.low <= 0.1 <= found.high
    for held in (students, welchs, bootstraps):
        # Three standard deviations of a binomial, and a little that the bootstrap lacks.
        assert 0.95 - 0.05 < held / rounds <= 0.95 + 0.033
