"""Test windows of tokens."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.batching.windows import IGNORE, DisjointWindows, RandomWindows
from minitx.errors import UserError


@given(context=st.integers(1, 20), extra=st.integers(1, 100))
def test_every_target_of_a_split_occurs_once(context: int, extra: int) -> None:
    tokens = np.arange(1, context + extra + 1, dtype=np.uint8)
    windows = DisjointWindows(tokens, context)
    assert len(windows) == -(-(len(tokens) - 1) // context)
    inputs, targets = (torch.stack(part) for part in zip(*windows, strict=True))
    real = targets != IGNORE
    assert targets[real].tolist() == tokens[1:].tolist()
    assert inputs[real].tolist() == tokens[:-1].tolist()
    assert not inputs[~real].any()
    assert real[:-1].all()
    assert inputs.dtype == targets.dtype == torch.int64


def test_ignored_targets_are_those_torch_ignores() -> None:
    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORE


@given(batch=st.integers(0, 2**40), seed=st.integers(0, 2**40))
def test_random_windows_are_pieces_of_the_split(batch: int, seed: int) -> None:
    tokens = np.arange(1000, dtype=np.uint16)
    inputs, targets = RandomWindows(tokens, 8, 4, seed)[batch]
    assert inputs.shape == targets.shape == (4, 8)
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.is_contiguous()
    assert targets.is_contiguous()
    assert torch.equal(targets, inputs + 1)  # which follows it in the split
    assert torch.equal(inputs, inputs[:, :1] + torch.arange(8))


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    tokens = np.arange(1000)
    one, other = RandomWindows(tokens, 8, 4, seed=3), RandomWindows(tokens, 8, 4, seed=3)
    in_order = [one[i][0] for i in range(5)]
    for i in (4, 0, 2):
        assert torch.equal(other[i][0], in_order[i])


def test_neighbouring_seeds_and_batches_differ() -> None:
    tokens = np.arange(100_000)
    batches = {
        tuple(RandomWindows(tokens, 1, 4, seed)[i][0].flatten().tolist())
        for seed in range(20)
        for i in range(20)
    }
    assert len(batches) == 400


@given(share=st.integers(1, 5), world_size=st.integers(1, 4))
def test_ranks_share_one_batch(share: int, world_size: int) -> None:
    tokens, size = np.arange(500), share * world_size
    whole = RandomWindows(tokens, 6, size, seed=1)[9]
    ranks = [RandomWindows(tokens, 6, size, 1, rank, world_size)[9] for rank in range(world_size)]
    for part, expected in zip(zip(*ranks, strict=True), whole, strict=True):
        assert torch.equal(torch.cat(part), expected)


def test_windows_start_everywhere_alike() -> None:
    tokens, context, windows = np.arange(10), 3, 7000
    starts = RandomWindows(tokens, context, windows, seed=0)[0][0][:, 0]
    counts = torch.bincount(starts)
    assert len(counts) == 7  # 0 to 6, whose last target is the last token
    assert counts.min() > 1000 - 5 * 30  # five standard deviations
    assert counts.max() < 1000 + 5 * 30


def test_a_split_of_one_window_is_enough() -> None:
    inputs, targets = RandomWindows(np.arange(5), 4, 2, seed=0)[0]
    assert inputs.tolist() == [[0, 1, 2, 3]] * 2
    assert targets.tolist() == [[1, 2, 3, 4]] * 2


def test_a_split_shorter_than_a_window_is_an_error() -> None:
    message = r"4 tokens is too short for model\.context=4, which needs 5"
    with pytest.raises(UserError, match=message):
        RandomWindows(np.arange(4), 4, 1, seed=0)
    with pytest.raises(UserError, match=message):
        DisjointWindows(np.arange(4), 4)


def test_a_batch_that_does_not_divide_is_an_error() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size=12 must be a multiple of the 5"):
        RandomWindows(np.arange(100), 4, 12, seed=0, rank=0, world_size=5)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_reading_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    size = 2**26
    (tmp_path / "ids.bin").write_bytes(bytes(size))
    tokens = np.memmap(tmp_path / "ids.bin", np.uint8, mode="r")
    batches, windows = RandomWindows(tokens, 64, 12, seed=0), DisjointWindows(tokens, 2**16)
    _ = batches[0], windows[0]
    before = resident()
    for i in range(500):
        _ = batches[i], windows[i]
    assert resident() - before < size / 4
