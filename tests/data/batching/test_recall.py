"""Test associative recall: every query has an earlier pair, and only queries are targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.data.batching.generated import AnswerBatches
from minitx.data.batching.recall import (
    FILLER,
    FIRST_KEY,
    FIRST_VALUE,
    HELD_OUT,
    KEYS,
    Recall,
    distances,
)
from minitx.data.batching.windows import IGNORE
from minitx.errors import UserError

few_examples = settings(deadline=None, max_examples=20)
SIZES = st.integers(1, 24).flatmap(
    lambda pairs: st.tuples(st.just(pairs), st.integers(3 * pairs, 3 * pairs + 40))
)


def sequences_of(pairs, context, size=6):
    """Some sequences as lists."""
    inputs, targets = Recall(pairs, context).sequences(np.random.default_rng(1), pairs, size)
    assert inputs.shape == targets.shape == (size, context)
    assert inputs.dtype == targets.dtype == torch.int64
    return inputs.tolist(), targets.tolist()


def is_key(token):
    return FIRST_KEY <= token < FIRST_VALUE


@few_examples
@given(SIZES)
def test_every_key_is_asked_for_once_and_its_value_is_the_one_it_was_paired_with(sizes):
    pairs, context = sizes
    for inputs, targets in zip(*sequences_of(pairs, context), strict=True):
        said = dict(zip(inputs[0 : 2 * pairs : 2], inputs[1 : 2 * pairs : 2], strict=True))
        assert len(said) == len(set(said.values())) == pairs
        assert all(map(is_key, said))
        assert all(value >= FIRST_VALUE for value in said.values())
        assert [i for i in inputs if i >= FIRST_VALUE] == inputs[1 : 2 * pairs : 2]
        asked = {i: t for i, t in zip(inputs, targets, strict=True) if t != IGNORE}
        assert asked == said
        assert sum(t != IGNORE for t in targets) == pairs


@few_examples
@given(SIZES)
def test_nothing_but_queries_is_scored_and_all_else_is_filler(sizes):
    pairs, context = sizes
    for inputs, targets in zip(*sequences_of(pairs, context), strict=True):
        for t in range(2 * pairs):
            assert targets[t] == IGNORE
        for t in range(2 * pairs, context):
            assert (targets[t] != IGNORE) == is_key(inputs[t])
            assert targets[t] != IGNORE or inputs[t] == FILLER


@few_examples
@given(SIZES)
def test_looking_back_for_the_key_is_always_right(sizes):
    """And the distance of every answer is how far back it found the key."""
    pairs, context = sizes
    inputs, targets = sequences_of(pairs, context)
    found = []
    for tokens, wanted in zip(inputs, targets, strict=True):
        for t, target in enumerate(wanted):
            if target != IGNORE:
                back = tokens.index(tokens[t])
                assert tokens[back + 1] == target
                found.append(t - back)
    assert distances(torch.tensor(inputs), torch.tensor(targets)).tolist() == found


@pytest.mark.parametrize(
    ("pairs", "size", "mixture"),
    [
        (
            16,
            16,
            {
                (16, 66): 4,
                (8, 66): 2,
                (8, 33): 2,
                (4, 66): 2,
                (4, 16): 2,
                (2, 66): 2,
                (2, 8): 2,
            },
        ),
        (6, 5, {(6, 26): 3, (3, 26): 1, (3, 13): 1}),
        (1, 3, {(1, 6): 3}),
        (8, 2, {(8, 34): 1, (4, 34): 1, (2, 34): 0}),
    ],
)
def test_every_batch_is_the_same_mixture(pairs, size, mixture):
    recall = Recall(pairs, 4 * pairs + 2)
    assert recall.mixture(size) == mixture
    batches = AnswerBatches(recall, size, seed=1)
    expected = [kind for kind, rows in mixture.items() for _ in range(rows)]
    for number in (0, 7):
        inputs, targets, _ = batches[number]
        assert len(inputs) == len(expected)
        for row, wanted, (asked, length) in zip(inputs, targets, expected, strict=True):
            assert (wanted != IGNORE).sum() == asked
            assert (row[length:] == FILLER).all()
            assert (wanted[length:] == IGNORE).all()


def test_every_number_of_pairs_is_held_out():
    recall = Recall(6, 24)
    for split in recall.splits:
        for pairs in (6, 3):
            _, targets = recall.split(split, pairs).tensors
            assert targets.shape == (HELD_OUT, 24)
            assert set((targets != IGNORE).sum(dim=1).tolist()) == {pairs}
        assert torch.equal(recall.split(split).tensors[1], recall.split(split, 6).tensors[1])


@few_examples
@given(number=st.integers(0, 2**40), other=st.integers(0, 2**40), seed=st.integers(0, 2**32 - 1))
def test_a_batch_depends_on_seed_and_number_alone(number, other, seed):
    recall = Recall(2, 12)
    batches, again = AnswerBatches(recall, 8, seed), AnswerBatches(Recall(2, 12), 8, seed)
    first = batches[number]
    batches[other]
    for one, same in zip(first, again[number], strict=True):
        assert torch.equal(one, same)
    assert (number == other) == torch.equal(first[0], batches[other][0])
    assert not torch.equal(first[0], AnswerBatches(recall, 8, seed ^ 1)[number][0])


@few_examples
@given(share=st.integers(1, 5), world_size=st.integers(1, 4))
def test_ranks_share_one_batch(share, world_size):
    recall, size = Recall(3, 16), share * world_size
    whole = AnswerBatches(recall, size, seed=1)[9]
    ranks = [AnswerBatches(recall, size, 1, rank, world_size)[9] for rank in range(world_size)]
    inputs, targets, _ = zip(*ranks, strict=True)
    assert torch.equal(torch.cat(inputs), whole.inputs)
    assert torch.equal(torch.cat(targets), whole.targets)


def test_a_batch_has_the_positions_of_its_answers():
    for rank in range(2):
        batch = AnswerBatches(Recall(6, 26), 6, seed=1, rank=rank, world_size=2)[3]
        wanted = [target for target in batch.targets.flatten().tolist() if target != IGNORE]
        assert batch.targets.flatten()[batch.asked].tolist() == wanted


def test_a_batch_that_does_not_divide_is_an_error():
    with pytest.raises(UserError, match=r"data\.batch_size=12 must be a multiple of the 5"):
        AnswerBatches(Recall(1, 4), 12, seed=0, rank=0, world_size=5)


def test_the_splits_share_no_sequence():
    """With 3 pairs there are 10^16 beginnings: to meet one again would be no chance.

    There are three pairs because the mixture then has no sequences with fewer pairs.
    """
    recall = Recall(3, 16)
    splits = {split: recall.split(split).tensors[0] for split in recall.splits}
    assert list(splits) == ["val", "test"]
    parts = [*splits.values(), *(AnswerBatches(recall, 500, seed)[0][0] for seed in range(4))]
    begun = [tuple(row[:6]) for part in parts for row in part.tolist()]
    assert len(begun) == 2 * HELD_OUT + 4 * 500
    assert len(set(begun)) == len(begun)


def test_held_out_sequences_are_always_the_same():
    for split in ("val", "test"):
        for one, other in zip(*(Recall(3, 16).split(split).tensors for _ in range(2)), strict=True):
            assert torch.equal(one, other)


def test_distances_cover_the_context_and_none_in_its_middle_is_rare():
    pairs, context = 16, 128
    recall = Recall(pairs, context)
    found = distances(*recall.split("val").tensors)
    assert len(found) == HELD_OUT * pairs
    counts = torch.bincount(found, minlength=context)
    assert found.max() == context - 1
    assert found.min() == 2
    assert (counts[2:] > 0).all()
    middle = counts[2 * pairs : context - 2 * pairs + 1].float()
    # All distances are possible, odd ones too, and their frequencies differ little.
    assert middle.min() > 0.7 * middle.mean()
    assert middle.max() < 1.3 * middle.mean()
    assert middle.sum() > 0.65 * len(found)


def test_the_order_of_queries_is_independent_of_that_of_pairs():
    recall = Recall(4, 64)
    inputs, targets = recall.split("test").tensors
    sequence, place = (targets != IGNORE).nonzero(as_tuple=True)
    keys = inputs[sequence, place].view(-1, 4)  # as they are asked for
    pair = (keys[:, :, None] == inputs[:, None, 0:8:2]).int().argmax(dim=2)  # (sequences, 4)
    counts = np.zeros((4, 4))
    for query in range(4):
        counts[query] = torch.bincount(pair[:, query], minlength=4)
    assert abs(counts - HELD_OUT / 4).max() < 5 * (HELD_OUT * 3 / 16) ** 0.5  # five deviations


def test_all_keys_and_values_occur_alike():
    tokens, _ = Recall(16, 64).sequences(np.random.default_rng(2), 16, 1000)
    counts = torch.bincount(tokens[:, :32].flatten(), minlength=2 * KEYS + 1)[FIRST_KEY:]
    assert len(counts) == 2 * KEYS
    expected = 16_000 / KEYS
    assert counts.min() > expected - 6 * expected**0.5
    assert counts.max() < expected + 6 * expected**0.5


def test_the_fingerprint_distinguishes_corpora():
    prints = {Recall(pairs, context).fingerprint for pairs in (2, 3) for context in (16, 17)}
    assert len(prints) == 4
    assert Recall(2, 16).fingerprint in prints


def test_text_of_it_can_be_written_and_read():
    tokenizer = Recall(1, 4).tokenizer
    text = f"k0 v0 . k{KEYS - 1} v1 k0"
    assert tokenizer.encode(text) == [1, 1 + KEYS, 0, KEYS, 2 + KEYS, 1]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.vocab_size == 2 * KEYS + 1


@pytest.mark.parametrize(
    ("pairs", "context", "said"),
    [
        (16, 47, r"task\.pairs=16 .*model\.context=48, or task\.pairs=15"),
        (1, 2, r"task\.pairs=1 .*model\.context=3$"),
        (KEYS + 1, 10**6, rf"task\.pairs={KEYS + 1}: there are {KEYS}"),
    ],
)
def test_what_does_not_fit_is_an_error(pairs, context, said):
    with pytest.raises(UserError, match=said):
        Recall(pairs, context)


def test_the_longest_that_fits_fits():
    inputs, _ = sequences_of(16, 48)
    assert not any(FILLER in row for row in inputs)
