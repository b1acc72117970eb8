"""Test the batches of a step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from minitx.data.batching.batches import (
    LabelBatch,
    PairBatch,
    RankBatch,
    TrainingBatches,
    WholeBatches,
    drawn_subset,
    label_batch,
    pad,
    pair_batch,
    source_batch,
)
from minitx.data.batching.pair_store import PairSplit, open_pairs
from minitx.data.batching.ragged import Ragged
from minitx.data.batching.windows import IGNORE
from minitx.data.corpora.pairs import Pair, PairCorpus
from minitx.errors import UserError

ROWS = st.lists(st.lists(st.integers(4, 250), max_size=7), min_size=1, max_size=9)


def test_a_batch_of_pairs_by_hand() -> None:
    batch = pair_batch(Ragged.of([[5, 6], [7]]), Ragged.of([[8], [9, 10]]))
    assert batch.source.tolist() == [[5, 6, 2], [7, 2, 0]]
    assert batch.source_padding.tolist() == [[True, True, True], [True, True, False]]
    assert batch.target_in.tolist() == [[1, 8, 0], [1, 9, 10]]
    assert batch.target_out.tolist() == [[8, 2, IGNORE], [9, 10, 2]]
    assert (batch.source.dtype, batch.target_out.dtype) == (torch.int64, torch.int64)


def test_a_batch_of_labels_by_hand() -> None:
    batch = label_batch(Ragged.of([[5, 6], []]), np.array([1, 0]))
    assert batch.tokens.tolist() == [[1, 5, 6], [1, 0, 0]]
    assert batch.padding.tolist() == [[True, True, True], [True, False, False]]
    assert batch.labels.tolist() == [1, 0]


@given(rows=ROWS)
def test_padding_hides_nothing(rows: list[list[int]]) -> None:
    ids, real = pad(Ragged.of(rows, np.uint8), fill=IGNORE)
    assert ids.shape == real.shape == (len(rows), max(map(len, rows)))
    assert [line[keep].tolist() for line, keep in zip(ids, real, strict=True)] == rows
    assert (ids[~real] == IGNORE).all()


@given(rows=ROWS, data=st.data())
def test_ragged_rows(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(rows, np.uint8)
    assert [row.tolist() for row in ragged] == rows
    assert ragged.lengths.tolist() == list(map(len, rows))
    taken = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    assert [row.tolist() for row in ragged.take(np.array(taken, int))] == [rows[i] for i in taken]
    assert [row.tolist() for row in ragged.with_first(1)] == [[1, *row] for row in rows]
    assert [row.tolist() for row in ragged.with_last(2)] == [[*row, 2] for row in rows]
    assert [row.tolist() for row in Ragged.joined([ragged, ragged])] == rows * 2
    for row in (-1, len(rows)):
        with pytest.raises(IndexError):
            ragged[row]


def test_unscored_batches_have_nothing_to_predict() -> None:
    pairs = pair_batch(Ragged.of([[5]]), Ragged.of([[8]]))
    assert isinstance(pairs.unscored(), PairBatch)
    assert pairs.unscored().target_out.tolist() == [[IGNORE, IGNORE]]
    assert pairs.unscored().target_in.tolist() == pairs.target_in.tolist()
    labels = label_batch(Ragged.of([[5]]), np.array([1]))
    assert isinstance(labels.unscored(), LabelBatch)
    assert labels.unscored().labels.tolist() == [IGNORE]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> PairSplit:
    """The binary digits of n, and the same backwards: a row tells which pair it is."""
    pairs = [Pair(" ".join(f"{n:b}"), (" ".join(f"{n:b}"[::-1]),)) for n in range(1, 300)]
    corpus = PairCorpus("numbers", {"train": lambda: iter(pairs)})
    cache: Path = tmp_path_factory.mktemp("cache")
    return open_pairs(corpus, "word", "word", 50, True, cache).split("train")


def test_a_training_batch_depends_on_its_number_only(numbers: PairSplit) -> None:
    batches = TrainingBatches(numbers, 64, 200, seed=0)
    for i in (0, 3, 4 * batches.numbers.per_epoch):
        rows = batches.numbers[i]
        batch, tokens, targets = batches[i]
        assert batch.source.shape[0] == len(rows)
        assert batch.source.numel() + batch.target_in.numel() <= 200
        expected, _ = source_batch(numbers.source.take(rows))
        assert torch.equal(batch.source, expected)
        assert tokens == targets == int((batch.target_out != IGNORE).sum())


def test_an_example_as_long_as_the_context_stays(numbers: PairSplit) -> None:
    longest = int(numbers.lengths.max())
    assert longest == 9 + 1  # nine binary digits, and <eos>
    assert TrainingBatches(numbers, longest, 200, seed=0).numbers.dropped == 0
    shorter = TrainingBatches(numbers, longest - 1, 200, seed=0)
    assert shorter.numbers.dropped == 299 - 255
    widest = max(shorter[i].batch.source.shape[1] for i in range(shorter.numbers.per_epoch))
    assert widest == longest - 1


@pytest.mark.parametrize("accumulate", [2, 3])
def test_the_batch_of_a_rank_has_the_targets_of_the_whole_step(
    numbers: PairSplit, accumulate: int
) -> None:
    alone = TrainingBatches(numbers, 64, 200, seed=0)
    parts = TrainingBatches(numbers, 64, 200, seed=0, accumulate=accumulate)
    for first in (0, 5 * accumulate):
        step = range(first, first + accumulate)
        expected = sum(alone[i].targets for i in step)
        assert [parts[i].targets for i in step] == [expected] * accumulate
        assert [parts[i].tokens for i in step] == [alone[i].tokens for i in step]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batch_of_one_process(numbers: PairSplit, world: int) -> None:
    alone = TrainingBatches(numbers, 64, 200, seed=0)
    ranks = [TrainingBatches(numbers, 64, 200, 0, rank, world) for rank in range(world)]
    for i in range(alone.numbers.per_epoch):
        shares = [ranks[rank][i].batch.source for rank in range(world)]
        rows = [row[row != 0].tolist() for share in shares for row in share]
        whole = [row[row != 0].tolist() for row in alone[i].batch.source]
        assert {ranks[rank][i][1:] for rank in range(world)} == {alone[i][1:]}
        if len(whole) >= world:
            assert sorted(rows) == sorted(whole)
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_rank_without_rows_has_nothing_to_predict(numbers: PairSplit) -> None:
    ranks = (TrainingBatches(numbers, 64, 1, 0, rank, 2) for rank in range(2))
    first, second = (rank[0].batch for rank in ranks)
    assert first.source.tolist() == second.source.tolist()  # a budget of 1: a row a batch
    assert (first.target_out != IGNORE).any()
    assert (second.target_out == IGNORE).all()


def test_a_whole_split_comes_once(numbers: PairSplit) -> None:
    batches = WholeBatches(numbers, 300)
    rows = np.concatenate(batches.rows)
    assert sorted(rows) == list(range(299))
    for j in (0, len(batches) - 1):
        assert batches[j].target_in.shape[0] == len(batches.rows[j])
    with pytest.raises(IndexError):
        batches[len(batches)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_the_batches_unchanged(numbers: PairSplit, workers: int) -> None:
    batches = TrainingBatches(numbers, 64, 200, seed=0)
    order = [7, 8, 400]
    loader = DataLoader(batches, batch_size=None, sampler=order, num_workers=workers)
    for i, share in zip(order, loader, strict=True):
        assert isinstance(share, RankBatch)
        assert isinstance(share.batch, PairBatch)
        assert all(map(torch.equal, share.batch, batches[i].batch))
        assert share[1:] == batches[i][1:]


def test_a_fraction_is_always_the_same_draw(numbers: PairSplit) -> None:
    whole, tenth, third = (drawn_subset(numbers, share) for share in (1, 0.1, 1 / 3))
    assert whole.rows.tolist() == list(range(299))
    assert (len(tenth), len(third)) == (30, 100)
    assert set(tenth.rows) < set(third.rows)
    assert tenth.rows.tolist() == sorted(drawn_subset(numbers, 0.1).rows)
    # Drawn from everywhere: the mean of 30 rows of 299 has a standard error of 15.
    assert tenth.rows.mean() == pytest.approx(149, abs=45)


def test_batches_of_a_share_hold_its_examples_and_no_others(numbers: PairSplit) -> None:
    some = drawn_subset(numbers, 0.1)
    assert some.lengths.tolist() == numbers.lengths[some.rows].tolist()
    assert some.tokens.tolist() == some.targets.tolist() == numbers.targets[some.rows].tolist()
    batches = TrainingBatches(some, 64, 200, seed=0)
    seen = [
        source[source_padding].tolist()
        for i in range(batches.numbers.per_epoch)
        for source, source_padding in zip(*batches[i].batch[:2], strict=True)
    ]
    source, padding = source_batch(numbers.source.take(some.rows))
    expected = [row[real].tolist() for row, real in zip(source, padding, strict=True)]
    assert sorted(seen) == sorted(expected)


def test_a_share_of_nothing_is_refused(numbers: PairSplit) -> None:
    with pytest.raises(UserError, match=r"data\.train_fraction=0\.001 leaves none of 299 examples"):
        drawn_subset(numbers, 0.001)
