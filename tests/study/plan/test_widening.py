"""Test how a sweep is widened: which neighbours of its best combination are tried next."""

import pytest

from minitx.study.plan.definition import combinations
from minitx.study.plan.widening import MOST_FURTHER, further, open_sides

RATE, WIDTH = "optimizer.muon_lr", "optimizer.lr"


def one(*values):
    return [{RATE: value} for value in values]


@pytest.mark.parametrize(
    ("best", "values", "following"),
    [
        (0.02, [0.005, 0.01, 0.02], [0.04]),
        (0.005, [0.005, 0.01, 0.02], [0.0025]),
        (0.01, [0.005, 0.01, 0.02], []),
        (0.1, [0.01, 0.03, 0.1], [0.333]),  # by the ratio at that edge
        (32, [8, 16, 32], [64]),
        (8, [8, 16, 32], [4]),
        (1, [1, 2, 4], []),  # half a layer is none
        (0.0, [0.0, 0.1, 0.2], []),  # no ratio leads on from zero
        (0.1, [0.1, 0.0], []),
        (0.01, [0.01], []),
        ("cosine", ["constant", "cosine"], []),
        (None, [None, 4], []),
        (True, [True, False], []),
    ],
)
def test_the_next_value_continues_the_ratio_of_the_last_two(best, values, following):
    assert further({RATE: best}, one(*values), {RATE: values}) == one(*following)


def test_a_sweep_is_widened_to_a_limit_on_each_side():
    asked = {RATE: [0.01, 0.02]}
    tried = one(*asked[RATE])
    for best in (max, min):
        added = 0
        while new := further({RATE: best(each[RATE] for each in tried)}, tried, asked):
            tried += new
            added += len(new)
        assert added == MOST_FURTHER
    assert {each[RATE] for each in tried} == {
        *(0.00125, 0.0025, 0.005, 0.01),
        *(0.02, 0.04, 0.08, 0.16),
    }
    assert open_sides({RATE: 0.16}, tried) == [(RATE, 1)]  # it is still at the edge


def test_of_several_keys_the_best_combination_gets_its_missing_neighbours():
    asked = {WIDTH: [0.01, 0.02], RATE: [1, 2, 4]}
    tried = combinations(asked)
    assert open_sides({WIDTH: 0.02, RATE: 2}, tried) == [(WIDTH, 1)]
    assert further({WIDTH: 0.02, RATE: 2}, tried, asked) == [{WIDTH: 0.04, RATE: 2}]
    tried += [{WIDTH: 0.04, RATE: 2}]
    # The new one is better, and its neighbours were only tried with other values of the first key.
    assert further({WIDTH: 0.04, RATE: 2}, tried, asked) == [
        {WIDTH: 0.08, RATE: 2},
        {WIDTH: 0.04, RATE: 1},
        {WIDTH: 0.04, RATE: 4},
    ]
    # At a corner both keys go on.
    assert further({WIDTH: 0.01, RATE: 4}, tried, asked) == [
        {WIDTH: 0.005, RATE: 4},
        {WIDTH: 0.01, RATE: 8},
    ]


def test_only_the_sides_of_numbers_are_open():
    asked = {RATE: [0.01, 0.02], "optimizer.schedule": ["constant", "cosine"]}
    best = {RATE: 0.01, "optimizer.schedule": "cosine"}
    assert open_sides(best, combinations(asked)) == [(RATE, -1)]
