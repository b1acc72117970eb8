"""Test the comparison of counts of seeds."""

from itertools import product

import pytest
from scipy import stats

from minitx.study.statistics.counts import more_often


@pytest.mark.parametrize(
    ("hits", "tries", "p"),
    [
        ((5, 0), (5, 5), 2 * 0.5**10),  # the two most extreme tables of equal chances
        ((3, 3), (5, 5), 1.0),
        ((0, 0), (5, 5), 1.0),
    ],
)
def test_extreme_counts_have_known_p_values(hits, tries, p):
    assert more_often(hits, tries) == pytest.approx(p)
    assert more_often(hits[::-1], tries[::-1]) == pytest.approx(p)


def test_it_finds_more_than_fishers_test():
    for one, other in product(range(6), repeat=2):
        fisher = stats.fisher_exact([[one, other], [5 - one, 5 - other]])[1]
        assert more_often((one, other), (5, 5)) <= fisher + 1e-9


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.8])
def test_equal_chances_are_told_apart_in_at_most_one_of_twenty_studies(chance):
    """Over all outcomes of five seeds each, weighted by their probability."""
    probability = stats.binom.pmf(range(6), 5, chance)
    false = sum(
        probability[one] * probability[other]
        for one, other in product(range(6), repeat=2)
        if more_often((one, other), (5, 5)) <= 0.05
    )
    assert false <= 0.05
