"""Test intervals against scipy's and against known figures; test_coverage.py has the coverage."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minitx.metrics import bootstrap
from minitx.metrics.bootstrap import cluster_sums, percentile_interval, resampled_scores
from minitx.metrics.decomposable import MEASURES
from minitx.study.report.differences import RESAMPLES
from minitx.study.statistics.intervals import (
    difference_interval,
    fraction_interval,
    interval_words,
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
    assert mean_interval(values).p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    half = 3.182446 * np.sqrt(5 / 3) / 2  # of 1, 2, 3, 4
    assert ends(mean_interval([1.0, 2.0, 3.0, 4.0])) == pytest.approx((2.5 - half, 2.5 + half))


def test_three_values_have_no_interval_and_none_no_mean():
    for values in ([2.5], [2.5, 2.6], [2.4, 2.5, 2.6]):
        assert mean_interval(values).value == pytest.approx(np.mean(values))
        assert not mean_interval(values).known
        assert not mean_interval(values, (0, 3)).known
    assert np.isnan(mean_interval([]).value)
    assert not mean_interval([2.5]).excludes_zero  # nothing is known of it


def test_the_interval_of_a_bounded_mean_is_that_of_its_logit():
    values = np.array([0.9, 0.95, 0.97, 0.99])
    mean, error = values.mean(), stats.sem(values)
    half = 3.182446 * error / (mean * (1 - mean))
    logits = np.log(mean / (1 - mean)) + np.array([-half, half])
    assert ends(mean_interval(values, (0, 1))) == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-6)
    percent = ends(mean_interval(100 * values, (0, 100)))
    assert percent == pytest.approx([100 * end for end in ends(mean_interval(values, (0, 1)))])
    logs = np.log(mean) + np.array([-1, 1]) * 3.182446 * error / mean
    assert ends(mean_interval(values, (0, inf))) == pytest.approx(np.exp(logs), rel=1e-6)


def test_far_from_its_bounds_a_mean_has_the_same_interval_with_and_without_them():
    values = [2.19, 2.2, 2.21, 2.22, 2.18]
    plain = ends(mean_interval(values))
    assert ends(mean_interval(values, (0, inf))) == pytest.approx(plain, rel=1e-4)
    assert ends(mean_interval(values, (0, 100))) == pytest.approx(plain, rel=1e-4)


ACCURACY = st.integers(0, 1000).map(lambda right: right / 1000)


@given(st.lists(ACCURACY, min_size=1, max_size=8))
def test_no_interval_leaves_its_range(values):
    for bounds in ((0, 1), (0, 100), (0, inf)):
        found = mean_interval(values, bounds)
        if found.known:
            assert bounds[0] <= found.low <= found.value <= found.high <= bounds[1]


@given(st.lists(st.tuples(ACCURACY, ACCURACY), min_size=4, max_size=8))
def test_no_difference_of_fractions_is_larger_than_one(pairs):
    first, second = np.transpose(pairs)
    found = difference_interval(first, second, (0, 1))
    if found.known:
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert (found.p < 0.05) == found.excludes_zero


@pytest.mark.parametrize(
    "values",
    [
        [0.996, 0.996, 0.996, 0.063],
        [0.0, 1.0, 1.0, 1.0],
        [1.0, 1.0, 1.0, 0.999],
        [0.0, 0.0, 0.0, 1e-6],
    ],
)
def test_seeds_of_two_kinds_keep_the_interval_within_zero_and_one(values):
    found = mean_interval(values, (0, 1))
    assert 0 < found.low < np.mean(values) < found.high < 1


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_seeds_that_all_agree_have_no_interval(value):
    found = mean_interval([value] * 6, (0, 1))
    assert found.value == value
    assert not found.known


def test_the_interval_of_a_difference_is_that_of_paired_seeds():
    draw = np.random.default_rng(2)
    batches = draw.normal(0, 0.1, 5)  # what the seeds of both have in common
    first, second = (level + batches + draw.normal(0, 0.01, 5) for level in (2.2, 2.1))
    expected = stats.ttest_rel(first, second)
    found = difference_interval(first, second)
    assert ends(found) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.excludes_zero
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert welch.pvalue > 0.05  # it takes the common part for noise
    assert ends(difference_interval(second, first)) == pytest.approx((-found.high, -found.low))


def test_paired_losses_may_differ_by_any_amount():
    first, second = np.array([0.1, 0.2, 0.1, 5.0]), np.array([2.0, 3.0, 2.5, 2.2])
    expected = stats.ttest_rel(first, second).confidence_interval()
    assert ends(difference_interval(first, second, (0, inf))) == pytest.approx(tuple(expected))


def test_equal_seeds_have_no_interval():
    found = difference_interval([0.99] * 5, [0.5] * 5)
    assert found.value == pytest.approx(0.49)
    assert not found.known
    drift = np.array([0.1, 0.2, 0.3, 0.7])
    assert not difference_interval(drift + 0.1, drift).known  # equal but for rounding
    # Nor are differences of one or two units in the last place an effect.
    found = difference_interval([1 + 2e-16, 1 + 4e-16, 1 + 2e-16, 1 + 2e-16], [1.0] * 4)
    assert found.value == 0
    assert not found.known


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_difference_with_few_seeds_has_no_interval(seeds):
    first, second = np.array([1.0, 1.1, 1.3])[:seeds], np.array([2.0, 2.2, 2.1])[:seeds]
    assert difference_interval(first, second).value < 0
    assert not difference_interval(first, second).known


def test_shares_stay_within_zero_and_one():
    assert fraction_interval(100, 100).high == 1
    assert fraction_interval(0, 100).low == 0
    # By hand: 5 of 5 has the lower limit p with p**5 = 0.025.
    assert ends(fraction_interval(5, 5)) == pytest.approx((0.025 ** (1 / 5), 1))
    assert ends(fraction_interval(0, 4)) == pytest.approx((0, 1 - 0.025 ** (1 / 4)))
    # The exact interval of 8 of 10, as Clopper and Pearson's tables have it.
    assert ends(fraction_interval(8, 10)) == pytest.approx((0.4439, 0.9748), abs=1e-4)
    assert np.isnan(fraction_interval(0, 0).value)


def test_the_words_name_the_scale():
    assert interval_words(MEASURES["accuracy"].bounds) == "Student's t on the logit scale"
    assert interval_words(MEASURES["bleu"].bounds) == "Student's t on the logit scale"
    assert interval_words(MEASURES["per"].bounds) == "Student's t on the log scale"
    assert interval_words((-inf, inf)) == "Student's t"


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


def test_percentiles_of_few_clusters_are_those_of_students_t():
    draws = np.random.default_rng(10).normal(0.3, 0.1, 200_000)
    for size in (5, 31):
        half = 0.1 * np.sqrt(size / (size - 1)) * stats.t.ppf(0.975, size - 1)
        found = percentile_interval(0.3, draws, size)
        assert ends(found) == pytest.approx((0.3 - half, 0.3 + half), abs=0.02)
        assert found.p == pytest.approx(
            2 * stats.t.sf(3 / np.sqrt(size / (size - 1)), size - 1), rel=0.1
        )
    assert ends(percentile_interval(0.3, draws, 10**9)) == pytest.approx(
        ends(percentile_interval(0.3, draws)), abs=1e-6
    )
    assert not percentile_interval(0.3, draws, 3).known


@pytest.mark.parametrize("shift", [-0.3, -0.2, 0.1, 0.19, 0.2, 0.21])
def test_the_p_value_agrees_with_the_interval(shift):
    draws = np.random.default_rng(11).normal(shift, 0.1, 10_001)
    for size in (20, np.inf):
        found = percentile_interval(shift, draws, size)
        assert (found.p < 0.05) == found.excludes_zero
    assert percentile_interval(0.0, np.zeros(100)).p == 1


def test_clusters_are_summed_and_then_drawn():
    items = items_of(np.random.default_rng(12), 2, 6, 1.5)
    sums = cluster_sums(items, np.array([7, 3, 7, 3, 3, 9]))
    np.testing.assert_allclose(sums[:, 0], items[:, [1, 3, 4]].sum(axis=1))
    np.testing.assert_allclose(sums[:, 1], items[:, [0, 2]].sum(axis=1))
    np.testing.assert_allclose(sums[:, 2], items[:, 5])
    np.testing.assert_allclose(sums.sum(axis=1), items.sum(axis=1))
    np.testing.assert_allclose(cluster_sums(items, np.arange(6)), items)
