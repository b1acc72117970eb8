"""Test the batches of similar lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.batching.buckets import TokenBatches, padding_fraction, whole_batches
from minitx.errors import UserError

SIDES = st.integers(1, 2).flatmap(
    lambda sides: st.lists(
        st.lists(st.integers(1, 40), min_size=sides, max_size=sides), min_size=1, max_size=80
    )
)


def cost(lengths: np.ndarray, rows: np.ndarray) -> int:
    """Tokens of a batch once padded, by hand."""
    return sum(
        len(rows) * max(lengths[row][side] for row in rows) for side in range(lengths.shape[1])
    )


def captions(count: int = 4000) -> np.ndarray:
    """Lengths like those of sentences and their translations."""
    random = np.random.default_rng(0)
    source = random.poisson(14, count) + 1
    return np.stack([source, np.maximum(1, source + random.integers(-3, 5, count))], axis=1)


@given(lengths=SIDES, budget=st.integers(1, 400), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_holds_every_example_once_within_the_budget(
    lengths: list[list[int]], budget: int, seed: int, epoch: int
) -> None:
    table = np.array(lengths)
    batches = TokenBatches(table, budget, seed)
    rows = batches.epoch(epoch)
    assert len(rows) == batches.per_epoch
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(lengths)))
    assert all(cost(table, batch) <= budget or len(batch) == 1 for batch in rows)


@given(lengths=SIDES, budget=st.integers(1, 400))
def test_evaluation_holds_every_example_once_the_longest_first(
    lengths: list[list[int]], budget: int
) -> None:
    table = np.array(lengths)
    rows = whole_batches(table, budget)
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(lengths)))
    assert all(cost(table, batch) <= budget or len(batch) == 1 for batch in rows)
    last = table[np.concatenate(rows), -1].tolist()
    assert last == sorted(last, reverse=True)


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    lengths = captions()
    batches = TokenBatches(lengths, 2000, seed=3)
    numbers = [0, 1, batches.per_epoch - 1, batches.per_epoch, 5 * batches.per_epoch + 7]
    seen = {i: batches[i] for i in numbers}
    for i in reversed(numbers):
        assert TokenBatches(lengths, 2000, seed=3)[i].tolist() == seen[i].tolist()
        assert batches[i].tolist() == seen[i].tolist()
    assert TokenBatches(lengths, 2000, seed=4)[0].tolist() != seen[0].tolist()
    with pytest.raises(IndexError):
        batches[-1]


def test_epochs_follow_each_other() -> None:
    batches = TokenBatches(captions(), 2000, seed=0)
    n = batches.per_epoch
    for epoch in (0, 1, 2):
        numbered = [batches[i].tolist() for i in range(epoch * n, epoch * n + n)]
        assert numbered == [rows.tolist() for rows in batches.epoch(epoch)]


def test_other_examples_meet_in_another_epoch_and_the_order_changes() -> None:
    lengths = captions()
    batches = TokenBatches(lengths, 2000, seed=0)
    first, second = batches.epoch(0), batches.epoch(1)
    assert not {frozenset(rows.tolist()) for rows in first} & {
        frozenset(r.tolist()) for r in second
    }
    mean = [lengths[rows].mean() for rows in first]
    assert abs(np.corrcoef(mean, np.arange(len(mean)))[0, 1]) < 0.5  # not from short to long


def test_little_is_padding() -> None:
    lengths = captions(30_000)
    batches = TokenBatches(lengths, 4000, seed=0)
    assert 0 < batches.padding_fraction() < 0.08
    assert batches.padding_fraction(1) == padding_fraction(lengths, batches.epoch(1))
    in_order = np.split(np.arange(30_000), range(100, 30_000, 100))
    assert padding_fraction(lengths, in_order) > 0.3


def test_padding_is_counted_by_hand() -> None:
    lengths = np.array([[2, 5], [4, 1], [3, 3]])
    assert padding_fraction(lengths, [np.array([0, 1]), np.array([2])]) == 1 - 18 / 24
    assert padding_fraction(np.array([2, 4]), [np.array([0, 1])]) == 1 - 6 / 8


def test_over_long_examples_are_dropped_and_counted() -> None:
    lengths = np.array([[5, 5], [11, 3], [3, 10], [2, 12], [10, 10]])
    batches = TokenBatches(lengths, 100, seed=0, context=10)
    assert batches.dropped == 2
    assert sorted(np.concatenate(batches.epoch(0)).tolist()) == [0, 2, 4]
    assert len(np.concatenate(whole_batches(lengths, 100))) == 5
    with pytest.raises(UserError, match=r"all 5 .* model\.context=4, the shortest has 5 tokens"):
        TokenBatches(lengths, 100, seed=0, context=4)
    assert TokenBatches(lengths, 100, seed=0).dropped == 0
