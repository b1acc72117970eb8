"""Test fits of growth on known laws and by simulation."""

import numpy as np
import pytest
from scipy.optimize import minimize

from minitx.study.statistics.growth import linear_growth

LENGTHS = (32, 64, 128, 256, 512, 1024)


@pytest.mark.parametrize(("a", "b"), [(20.0, 0.05), (0.0, 1.0), (5.0, 0.0), (50.0, -0.01)])
def test_the_parts_of_a_known_growth_are_found(a, b):
    found = linear_growth(LENGTHS, [a + b * length for length in LENGTHS])
    assert (found.a.value, found.b.value) == pytest.approx((a, b), abs=1e-9)
    assert found.a.low == pytest.approx(a, abs=1e-6)


def test_the_fit_has_the_least_relative_errors():
    draw = np.random.default_rng(1)
    costs = (30 + 0.2 * np.array(LENGTHS)) * np.exp(draw.normal(0, 0.2, 6))

    def errors(parts):
        return (((parts[0] + parts[1] * np.array(LENGTHS)) / costs - 1) ** 2).sum()

    best = minimize(errors, [30, 0.2], method="Nelder-Mead", options={"xatol": 1e-9}).x
    found = linear_growth(LENGTHS, costs)
    assert (found.a.value, found.b.value) == pytest.approx(tuple(best), rel=1e-4)


@pytest.mark.parametrize("misfit", [0, 0.03, 0.08])  # of a length, which its processes share
def test_the_intervals_hold_the_parts_as_often_as_they_say(misfit):
    draw, lengths = np.random.default_rng(0), np.repeat(LENGTHS, 4)
    hits = np.zeros(2)
    for _ in range(2000):
        costs = (30 + 0.2 * lengths) * (1 + draw.normal(0, 0.02, len(lengths)))
        costs *= np.repeat(1 + draw.normal(0, misfit, len(LENGTHS)), 4)
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
    errors = {
        each: abs((found.a.value + found.b.value * each) / mean - 1) for each, mean in means.items()
    }
    assert found.off == pytest.approx(max(errors.values()), abs=0.02)


def test_two_lengths_have_no_growth():
    with pytest.raises(ValueError, match="three lengths, and there are 2"):
        linear_growth([32, 64, 64], [10, 12, 13])
