"""Test intervals of ratios on known laws and by simulation."""

import numpy as np
import pytest
from scipy import stats

from minitx.study.statistics.ratios import paired_ratio_interval, ratio_interval


def test_costs_that_do_not_vary_have_a_ratio_without_an_interval():
    found = ratio_interval(np.full(4, 3.0), np.full(5, 2.0))
    assert found.value == pytest.approx(1.5)
    assert not found.known


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says():
    draw, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        first = 30 * np.exp(draw.normal(0, 0.1, 4))
        second = 10 * np.exp(draw.normal(0, 0.05, 4))
        found = ratio_interval(first, second)
        assert 0 < found.low < found.value < found.high
        hits += found.low < 3 < found.high
    assert hits / 1000 >= 0.93


def test_the_ratio_turned_round_is_its_inverse():
    one, other = np.array([3.0, 3.2, 2.9, 3.1]), np.array([1.0, 1.1, 0.9, 1.05, 1.0])
    found, turned = ratio_interval(one, other), ratio_interval(other, one)
    assert found.value == pytest.approx(1 / turned.value)
    assert (found.low, found.high) == pytest.approx((1 / turned.high, 1 / turned.low))


def test_three_processes_have_a_ratio_without_an_interval():
    found = ratio_interval(np.full(3, 2.0), np.ones(4))
    assert found.value == pytest.approx(2)
    assert not found.known


def test_what_the_costs_of_a_seed_share_cancels_in_their_ratio():
    draw, hits, widths = np.random.default_rng(0), 0, []
    for _ in range(1000):
        seeds = draw.normal(0, 0.15, 4)
        first = 30 * np.exp(seeds + draw.normal(0, 0.03, 4))
        second = 10 * np.exp(seeds + draw.normal(0, 0.03, 4))
        found = paired_ratio_interval(first, second)
        hits += found.low < 3 < found.high
        unpaired = ratio_interval(first, second)
        widths.append(np.log(found.high / found.low) / np.log(unpaired.high / unpaired.low))
    assert hits / 1000 >= 0.93
    assert np.median(widths) < 0.5
    expected = stats.ttest_rel(np.log(first), np.log(second)).confidence_interval()
    assert np.log([found.low, found.high]) == pytest.approx([expected.low, expected.high])
