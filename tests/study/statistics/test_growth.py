"""Test fits of growth and intervals of ratios on known laws and by simulation."""

import numpy as np
import pytest
from scipy.optimize import minimize

from minitx.study.statistics.growth import linear_growth, ratio_interval

LENGTHS = (32, 64, 128, 256, 512, 1024)


@pytest.mark.parametrize(("a", "b"), [(20.0, 0.05), (0.0, 1.0), (5.0, 0.0), (50.0, -0.01)])
def test_the_parts_of_a_known_growth_are_found(a, b):
    found = linear_growth(LENGTHS, [a + b * length for length in LENGTHS])
    assert (found.a.value, found.b.value) == pytest.approx((a, b), abs=1e-9)
    assert found.at(2048) == pytest.approx(a + 2048 * b)
    assert found.a.low == pytest.approx(a, abs=1e-6)


def test_the_fit_has_the_least_relative_errors():
    draw = np.random.default_rng(1)
    costs = (30 + 0.2 * np.array(LENGTHS)) * np.exp(draw.normal(0, 0.2, 6))

    def errors(parts):
        return (((parts[0] + parts[1] * np.array(LENGTHS)) / costs - 1) ** 2).sum()

    best = minimize(errors, [30, 0.2], method="Nelder-Mead", options={"xatol": 1e-9}).x
    found = linear_growth(LENGTHS, costs)
    assert (found.a.value, found.b.value) == pytest.approx(tuple(best), rel=1e-4)


def test_the_intervals_hold_the_parts_as_often_as_they_say():
    draw, lengths = np.random.default_rng(0), np.repeat(LENGTHS, 4)
    hits = np.zeros(2)
    for _ in range(2000):
        costs = (30 + 0.2 * lengths) * (1 + draw.normal(0, 0.05, len(lengths)))
        found = linear_growth(lengths, costs)
        hits += [found.a.low < 30 < found.a.high, found.b.low < 0.2 < found.b.high]
    assert (hits / 2000 >= 0.93).all()


@pytest.mark.parametrize(
    ("cost", "fits"),
    [
        (lambda length: 20 + 0.05 * length, True),
        (lambda length: 30, True),
        (lambda length: 1 + 4000 / length, False),  # a fixed time per step dominates
        (lambda length: 0.001 * length**2, False),
        (lambda length: 50 - 0.01 * length, False),
        (lambda length: 30 if length < 1024 else 90, False),  # one point is far from the line
    ],
)
def test_a_line_that_misses_a_mean_by_a_fifth_or_falls_is_no_fit(cost, fits):
    lengths = np.repeat(LENGTHS, 4)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.01, len(lengths)))
    found = linear_growth(lengths, [cost(each) for each in lengths] * noise)
    assert found.fits is fits
    means = {each: cost(each) for each in LENGTHS}
    errors = {each: abs(found.at(each) / mean - 1) for each, mean in means.items()}
    assert found.off == pytest.approx(max(errors.values()), abs=0.02)


def test_costs_that_do_not_vary_have_a_ratio_without_an_interval():
    found = ratio_interval(np.full(4, 3.0), np.full(5, 2.0))
    assert found.value == pytest.approx(1.5)
    assert not found.known


def test_two_lengths_have_a_growth_without_intervals():
    found = linear_growth([32, 64], [10, 12])
    assert (found.a.value, found.b.value) == pytest.approx((8, 1 / 16))
    assert not found.a.known
    assert not found.b.known


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
