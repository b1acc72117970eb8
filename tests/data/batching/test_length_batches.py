"""Test the lengths of sequences: mixed in training and in val, fixed in test."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.data.batching.generated import AnswerBatches
from minitx.data.batching.lengths import KINDS, TESTED, Lengths
from minitx.data.batching.problems import Copy, Dyck, Parity, SelectiveCopy
from minitx.data.batching.windows import IGNORE
from minitx.errors import UserError

few_examples = settings(deadline=None, max_examples=20)


def lengths_of(targets):
    """The length of each sequence of parity, all of whose positions have targets."""
    return (targets != IGNORE).sum(dim=1).tolist()


@few_examples
@given(st.integers(1, 50), st.integers(1, 70), st.integers(0, 2**32))
def test_training_draws_all_lengths_equally_often(longest, size, seed):
    store = Lengths(Parity(), longest, [2], 60)
    inputs, targets = store.training(np.random.default_rng(seed), size)
    found = lengths_of(targets)
    assert len(found) == size
    assert inputs.shape == targets.shape == (size, max(found))
    assert 1 <= min(found) <= max(found) <= longest
    counts = Counter(found)
    assert len(counts) == min(KINDS, size, longest)
    assert max(counts.values()) - min(counts.values()) <= 1
    for row, length in zip(targets, found, strict=True):
        assert (row[:length] != IGNORE).all()
        assert (row[length:] == IGNORE).all()


def test_over_many_batches_every_length_is_as_frequent():
    store = Lengths(Parity(), 10, [2], 10)
    generator = np.random.default_rng(0)
    found = Counter(n for _ in range(1000) for n in lengths_of(store.training(generator, 8)[1]))
    assert sorted(found) == list(range(1, 11))
    assert max(found.values()) < 1.15 * min(found.values())


@pytest.mark.parametrize("problem", [Parity(), Copy(), Dyck(), SelectiveCopy()])
def test_test_has_as_many_sequences_of_each_length(problem):
    store = Lengths(problem, 4, [3, 30, 7], 60)
    found = Counter()
    for inputs, targets, length in store.split("test"):
        assert inputs.shape == targets.shape
        assert inputs.size(1) == problem.width(length)
        found[length] += len(inputs)
    assert found == {3: TESTED, 30: TESTED, 7: TESTED}
    assert list(store.chances) == [3, 30, 7]


def test_val_has_the_lengths_of_training_in_mixed_batches():
    (inputs, targets, length), *others = Lengths(Parity(), 40, [80], 80).split("val")
    assert length is None
    assert inputs.size(1) == 40
    assert set(lengths_of(targets)) == set(range(1, 41))
    found = [n for batch in others for n in lengths_of(batch.targets)] + lengths_of(targets)
    assert set(Counter(found).values()) == {12}


def test_what_is_held_out_is_the_same_for_every_seed_and_longer_tests_are_new():
    one, same = (Lengths(Parity(), 40, [40, 80], 80) for _ in range(2))
    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != Lengths(Parity(), 39, [40, 80], 80).fingerprint
    assert one.fingerprint != Lengths(Parity(), 40, [40, 79], 80).fingerprint
    trained = {
        tuple(row) for i in range(20) for row in AnswerBatches(one, 64, 1)[i].inputs.tolist()
    }
    tested = [
        tuple(row) for batch in one.split("test") for row in batch.inputs.tolist() if len(row) > 40
    ]
    assert len(set(tested)) == TESTED
    assert not trained & set(tested)
    # The beginnings of longer sequences are drawn anew, too.
    starts = {row[:40] for row in tested}
    assert not starts & {tuple(r) for b in one.split("test") for r in b.inputs.tolist()}


def test_a_test_length_has_the_same_sequences_whatever_the_others_are():
    one, other = Lengths(Copy(), 4, [5, 9], 20), Lengths(Copy(), 4, [9], 20)
    (first,) = (batch for batch in one.split("test") if batch.length == 9)
    assert torch.equal(first.inputs, other.split("test")[0].inputs)


@pytest.mark.parametrize(
    ("train", "test", "context", "words"),
    [
        (4, [11], 20, "test_lengths: a sequence of length 11 has 22 tokens.*model.context=22"),
        (11, [4], 20, "train_length: a sequence of length 11 has 22 tokens.*model.context=22"),
        (4, [11, 25, 12], 20, "test_lengths: a sequence of length 25 has 50 tokens"),  # the longest
        (4, [0], 20, "must be at least 1"),
        (4, [], 20, "one length or more"),
        (4, [2, 2], 20, "each of them once"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(train, test, context, words):
    with pytest.raises(UserError, match=words) as caught:
        Lengths(Copy(), train, test, context)
    assert "\n" not in str(caught.value)
    Lengths(Copy(), 10, [10], 20)


def test_training_beyond_the_size_of_val_has_long_sequences_in_val():
    found = [n for b in Lengths(Parity(), 1000, [2], 1000).split("val") for n in lengths_of(b[1])]
    assert len(set(found)) == len(found) == 480
    assert max(found) > 990


@pytest.mark.parametrize(("train", "test"), [(1_000_000, [2]), (2, [10_000_000]), (2, [10**15])])
def test_val_and_test_that_fill_the_memory_are_refused(train, test):
    with pytest.raises(UserError, match=r"val and test would have [\d,.]+ GB, and at most 2\.1"):
        Lengths(Parity(), train, test, 10**16)


def test_training_without_an_answer_is_refused():
    with pytest.raises(UserError, match="train_length=1: such sequences have no answer"):
        Lengths(Dyck(), 1, [4], 20)


def test_a_test_without_an_answer_is_refused():
    with pytest.raises(UserError, match="length 1 has no answer"):
        Lengths(Dyck(), 4, [1], 20)
