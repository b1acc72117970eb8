"""Test the tutorial's tables against a hand calculation."""

import math

import pytest
import torch

from minitx.inspection.steps import steps_of
from minitx.inspection.tutorial import TOKENS, W_KEY, W_QUERY, W_VALUE, X, tutorial, worked_example

R = math.sqrt(2)

# One head. Queries: The is features 1 and 3, so rows 1 + 3 of Wq; cat rows 2 + 4, sat rows 1 + 2.
# Keys and values likewise. Scores: q . k / 2, as in The, The: (1 + 1 + 4 + 0) / 2 = 3.
ONE = {
    "q": [[1, 1, 2, 0], [1, 1, 0, 2], [1, 1, 1, 1]],
    "k": [[1, 1, 2, 0], [0, 0, 1, 1], [1, 1, 0, 2]],
    "v": [[1, 0, 1, 2], [0, 1, 2, 0], [1, 1, 1, 0]],
    "s": [[3, 1, 1], [1, 1, 3], [2, 1, 2]],
    "w": [
        [0.7870, 0.1065, 0.1065],  # e^3 / (e^3 + e + e) = 20.0855 / 25.5221
        [0.1065, 0.1065, 0.7870],
        [0.4223, 0.1554, 0.4223],  # e^2 / (e^2 + e + e^2) = 7.3891 / 17.4964
    ],
    "y": [
        [0.8935, 0.2130, 1.1065, 1.5740],  # 0.7870 (1, 0, 1, 2) + 0.1065 (1, 2, 3, 0)
        [0.8935, 0.8935, 1.1065, 0.2130],
        [0.8446, 0.5777, 1.1554, 0.8446],
    ],
}

# Two heads: head 0 has features 1 and 2, head 1 has 3 and 4; scores are divided by sqrt(2).
TWO = {
    "q of head 0": [[1, 1], [1, 1], [1, 1]],
    "k of head 0": [[1, 1], [0, 0], [1, 1]],
    "v of head 0": [[1, 0], [0, 1], [1, 1]],
    "q of head 1": [[2, 0], [0, 2], [1, 1]],
    "k of head 1": [[2, 0], [1, 1], [0, 2]],
    "v of head 1": [[1, 2], [2, 0], [1, 0]],
    "s of head 0": [[R, 0, R]] * 3,
    "s of head 1": [[2 * R, R, 0], [0, R, 2 * R], [R, R, R]],
    "w of head 0": [[0.4458, 0.1084, 0.4458]] * 3,  # e^1.4142 = 4.1133; 4.1133 / 9.2265
    "w of head 1": [[0.7679, 0.1867, 0.0454], [0.0454, 0.1867, 0.7679], [1 / 3, 1 / 3, 1 / 3]],
    "y of head 0": [[0.8916, 0.5542]] * 3,
    "y of head 1": [[1.1867, 1.5358], [1.1867, 0.0908], [1.3333, 0.6667]],
    "output": [
        [0.8916, 0.5542, 1.1867, 1.5358],
        [0.8916, 0.5542, 1.1867, 0.0908],
        [0.8916, 0.5542, 1.3333, 0.6667],
    ],
}


@pytest.fixture(scope="module")
def sections():
    given, *by_heads = tutorial().sections
    return given, by_heads


def tables(section):
    return {table.name: table for step in section.steps for table in step.tables}


def test_the_given_matrices_are_enough(sections):
    given = {name: table.values for name, table in tables(sections[0]).items()}
    assert {name: values.tolist() for name, values in given.items()} == {
        "x": X.tolist(),
        "Wq": W_QUERY.tolist(),
        "Wk": W_KEY.tolist(),
        "Wv": W_VALUE.tolist(),
    }
    for name, matrix in (("q", "Wq"), ("k", "Wk"), ("v", "Wv")):
        assert torch.equal(given["x"] @ given[matrix], torch.tensor(ONE[name]).float())


@pytest.mark.parametrize(("which", "by_hand"), [(0, ONE), (1, TWO)], ids=["one head", "two heads"])
def test_tables_are_those_by_hand(which, by_hand, sections):
    found = tables(sections[1][which])
    assert list(found) == list(by_hand)
    for name, numbers in by_hand.items():
        expected = torch.tensor(numbers, dtype=torch.float32)
        torch.testing.assert_close(found[name].values, expected, atol=1e-4, rtol=0)
        assert tuple(found[name].rows) == TOKENS


def test_each_section_has_the_four_steps_and_two_heads_are_joined(sections):
    one, two = ([step.title for step in section.steps] for section in sections[1])
    assert [title[:2] for title in one] == ["1.", "2.", "3.", "4."]
    assert [title[:2] for title in two] == ["1.", "2.", "3.", "4.", "5."]


def test_rows_of_weights_sum_to_one(sections):
    weights = [
        table.values
        for section in sections[1]
        for table in tables(section).values()
        if table.weights
    ]
    assert len(weights) == 3
    for table in weights:
        torch.testing.assert_close(table.sum(dim=1), torch.ones(3))


def test_two_heads_side_by_side_are_the_modules_output(sections):
    found = tables(sections[1][1])
    y, _ = worked_example(2)(X[None])
    sides = [found["y of head 0"].values, found["y of head 1"].values]
    torch.testing.assert_close(torch.cat(sides, dim=1), y[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(found["output"].values, y[0])
    assert [table.first for name, table in found.items() if name.startswith("y")] == [1, 3]


def test_what_is_worked_out_is_right(sections):
    """Every line that says name[...] = calculation = result: the calculation is done again."""
    lines = [line for section in sections[1] for step in section.steps for line in step.worked]
    assert len(lines) == 9
    for line in lines:
        _, calculation, result = line.split(" = ")
        calculation = calculation.replace("e^", "E**")
        assert eval(calculation, {"E": math.e, "sqrt": math.sqrt}) == pytest.approx(
            float(result), abs=2e-4
        ), line
    assert lines[0] == "s[sat, The] = (1*1 + 1*1 + 1*2 + 1*0) / sqrt(4) = 2"
    assert lines[1] == "w[sat, The] = e^2 / (e^2 + e^1 + e^2) = 0.4223"
    assert lines[2] == "y[sat, 1] = 0.4223*1 + 0.1554*0 + 0.4223*1 = 0.8446"
    assert lines[3] == "head 0: s[sat, The] = (1*1 + 1*1) / sqrt(2) = 1.4142"
    assert lines[4] == "head 1: s[sat, The] = (1*2 + 1*0) / sqrt(2) = 1.4142"


def test_formulas_are_next_to_the_numbers(sections):
    for section, width in zip(sections[1], (4, 2), strict=True):
        projections, scores, weights, outputs, *_ = (step.formulas for step in section.steps)
        assert tuple(projections[:3]) == ("q = x Wq", "k = x Wk", "v = x Wv")
        assert scores == [f"s = q k^T / sqrt({width})"]
        assert weights[0].startswith("w = softmax(s)")
        assert outputs == ["y = w v"]


def test_the_example_is_the_one_of_the_blocks():
    """The same numbers as tests/nn/test_worked_example.py takes by hand."""
    module = worked_example(1)
    steps = steps_of(module, lambda: module(X[None]))
    assert torch.equal(steps.queries[0], X @ W_QUERY)
    assert torch.equal(steps.keys[0], X @ W_KEY)
    assert torch.equal(steps.values[0], X @ W_VALUE)
