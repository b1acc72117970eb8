"""Test the answers of generated problems against brute force that reads their words."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.data.batching.problems import (
    Copy,
    Dyck,
    Parity,
    Permutation,
    Reverse,
    SelectiveCopy,
)
from minitx.data.batching.windows import IGNORE

few_examples = settings(deadline=None, max_examples=25)
LENGTHS, SEEDS = st.integers(1, 60), st.integers(0, 2**32 - 1)
PROBLEMS = [Parity(), Permutation(), Dyck(), Dyck(2), Copy(), Reverse(), SelectiveCopy()]
MATCHING = {")": "(", "]": "["}


def drawn(problem, length, seed=0, size=4):
    """Words and answers of some sequences; an answer is None if it is not scored."""
    inputs, targets = problem.draw(np.random.default_rng(seed), length, size)
    assert inputs.shape == targets.shape == (size, problem.width(length))
    assert inputs.dtype == targets.dtype == np.int64
    words = [[problem.words[token] for token in row] for row in inputs]
    answers = [[None if t == IGNORE else problem.words[t] for t in row] for row in targets]
    return list(zip(words, answers, strict=True))


@few_examples
@given(LENGTHS, SEEDS)
def test_parity_counts_the_ones(length, seed):
    for words, answers in drawn(Parity(), length, seed):
        ones = [words[: t + 1].count("1") for t in range(length)]
        assert answers == ["odd" if count % 2 else "even" for count in ones]
        assert set(words) <= {"0", "1"}


@few_examples
@given(LENGTHS, SEEDS)
def test_permutations_rearrange_five_elements(length, seed):
    for words, answers in drawn(Permutation(), length, seed):
        order = "12345"
        assert set(words) <= {"23451", "21345"}
        for word, answer in zip(words, answers, strict=True):
            order = "".join(order[int(place) - 1] for place in word)
            assert answer == order


def test_two_moves_lead_to_all_orders_and_do_not_commute():
    problem = Permutation()
    assert sorted(problem.words) == sorted(map("".join, itertools.permutations("12345")))
    assert all(sorted(column) == list(range(120)) for column in problem.after.T)
    (_, after), *_ = drawn(problem, 5000, size=1)
    assert len(set(after)) == 120
    first, second = problem.after[0]
    assert problem.after[first, 1] != problem.after[second, 0]


@few_examples
@given(LENGTHS, SEEDS, st.none() | st.integers(1, 6))
def test_dyck_answers_are_those_of_a_stack_machine(length, seed, depth):
    """Only the bracket on the top of the stack may close; none if the stack is empty."""
    problem = Dyck() if depth is None else Dyck(depth)
    for words, answers in drawn(problem, length, seed):
        stack = []
        for word, answer in zip(words, answers, strict=True):
            if word in MATCHING:
                assert stack.pop() == MATCHING[word]
                valid = [closer for closer in MATCHING if stack[-1:] == [MATCHING[closer]]]
                assert [answer] == (valid or ["none"])
            else:
                stack.append(word)
                assert answer is None
            assert depth is None or len(stack) <= depth


def test_dyck_reaches_its_greatest_depth_and_grows_without_one():
    def deepest(problem, length):
        return max(
            max(np.cumsum([1 if word in "([" else -1 for word in words]))
            for words, _ in drawn(problem, length, size=50)
        )

    assert deepest(Dyck(3), 100) == 3
    assert deepest(Dyck(), 40) > 8
    assert deepest(Dyck(), 400) > 2 * deepest(Dyck(), 40)


@few_examples
@given(LENGTHS, SEEDS)
def test_copies_are_equal_and_reversed_ones_reversed(length, seed):
    for problem, order in ((Copy(), 1), (Reverse(), -1)):
        for words, answers in drawn(problem, length, seed):
            assert words.index(">") == length
            letters = words[:length]
            assert answers == [None] * length + letters[::order]
            assert words[length + 1 :] == answers[length:-1]  # each answer is the next input


@few_examples
@given(LENGTHS, SEEDS)
def test_selective_copies_leave_out_the_blanks(length, seed):
    for words, answers in drawn(SelectiveCopy(), length, seed):
        count = min(8, length)
        text = "".join(words)
        assert re.fullmatch(r"[a-p.]+\?+", text)
        letters = re.findall("[a-p]", text)
        assert len(letters) == count
        assert answers == [None] * length + letters
        assert text.count("?") == count


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda each: type(each).__name__)
def test_the_chance_level_is_that_of_the_best_constant_answer(problem):
    """Of 2,000 sequences, the share of an answer is off by less than 0.02."""
    for length in (2, 10, 40):
        answers = [each for _, row in drawn(problem, length, size=2000) for each in row if each]
        (_, most), *_ = Counter(answers).most_common(1)
        assert most / len(answers) == pytest.approx(problem.chance(length), abs=0.02)
    assert 0 < problem.chance(1) <= 1
    assert 0 < problem.chance(500) < 0.51


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda each: type(each).__name__)
def test_sequences_depend_on_the_seed_alone(problem):
    assert drawn(problem, 12, 1) == drawn(problem, 12, 1)
    assert drawn(problem, 12, 1) != drawn(problem, 12, 2)
