"""Test the batches of a trainer from any start, and what each device evaluates."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.trainer.states import TrainerFn

from minitx.data.batching.windows import IGNORE
from minitx.data.module import LanguageModelingData
from minitx.errors import UserError

CONTEXT = 4

few_examples = settings(deadline=None, max_examples=25)


class Tokens:
    """A store whose splits are in memory."""

    def __init__(self, **lengths):
        self.lengths = lengths

    @property
    def splits(self):
        return tuple(self.lengths)

    def split(self, name, share=1.0):
        return np.arange(round(share * self.lengths[name]), dtype=np.uint16)


def make_data(every=5, accumulate=1, batch_size=4, seed=1, share=1.0, **lengths):
    store = Tokens(**{"train": 500, "val": 50, "test": 50} | lengths)
    return LanguageModelingData(
        store, CONTEXT, batch_size, seed, share, steps_an_epoch=every, accumulate=accumulate
    )


def trainer(step=0, max_steps=-1, rank=0, world_size=1, fn=TrainerFn.FITTING):
    device = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(
        global_step=step,
        max_steps=max_steps,
        global_rank=rank,
        world_size=world_size,
        strategy=device,
        state=SimpleNamespace(fn=fn),
    )


class Run:
    """What Lightning does with the batches, and nothing else."""

    def __init__(self, every, accumulate, max_steps):
        self.data = make_data(every, accumulate)
        self.accumulate, self.max_steps = accumulate, max_steps
        self.batches, self.validations = [], []

    def go(self, step, until):
        """Trains from `step`, in the middle of an epoch or not, up to `until`."""
        while step < until:
            self.data.trainer = trainer(step, self.max_steps)
            for number, (inputs, _) in enumerate(self.data.train_dataloader(), start=1):
                self.batches.append(inputs.tolist())
                step += number % self.accumulate == 0
                if step == until and number % self.accumulate == 0 and until < self.max_steps:
                    return self
            self.validations.append(step)
        return self


@few_examples
@given(
    every=st.integers(1, 7),
    accumulate=st.integers(1, 3),
    max_steps=st.integers(1, 20),
    cut=st.integers(0, 19),
)
def test_an_interruption_changes_no_batch(every, accumulate, max_steps, cut):
    cut = min(cut, max_steps - 1)
    whole = Run(every, accumulate, max_steps).go(0, max_steps)
    parted = Run(every, accumulate, max_steps).go(0, cut).go(cut, max_steps)
    assert parted.batches == whole.batches
    assert len(whole.batches) == max_steps * accumulate
    # Validations are due at every multiple, and at the end.
    due = sorted({*range(every, max_steps + 1, every), max_steps})
    assert whole.validations == due
    assert [step for step in parted.validations if step != cut] == [s for s in due if s != cut]


@pytest.mark.parametrize("step", [0, 4, 5, 7])
def test_an_epoch_ends_at_the_next_multiple_or_the_last_step(step):
    data = make_data(every=5, accumulate=2)
    data.trainer = trainer(step)
    assert len(data.train_dataloader()) == 2 * (5 - step % 5)
    data.trainer = trainer(step, max_steps=step + 1)
    assert len(data.train_dataloader()) == 2


@few_examples
@given(world_size=st.sampled_from([1, 2, 4]), step=st.integers(0, 20))
def test_ranks_share_the_batch_of_a_single_process(world_size, step):
    alone, shared = make_data(), make_data()
    alone.trainer = trainer(step)
    parts = []
    for rank in range(world_size):
        shared.trainer = trainer(step, rank=rank, world_size=world_size)
        parts.append(list(shared.train_dataloader()))
    for single, *pieces in zip(alone.train_dataloader(), *parts, strict=True):
        for which in (0, 1):
            assert torch.equal(torch.cat([piece[which] for piece in pieces]), single[which])


@few_examples
@given(world_size=st.integers(1, 4), length=st.integers(CONTEXT + 1, 80))
def test_each_target_of_a_split_is_evaluated_once(world_size, length):
    data, found = make_data(val=length), []
    for rank in range(world_size):
        data.trainer = trainer(rank=rank, world_size=world_size)
        for _, targets in data.val_dataloader():
            found += targets[targets != IGNORE].tolist()
    assert sorted(found) == list(range(1, length))


def test_each_split_has_its_own_loader():
    data = make_data(val=30, test=40)
    data.trainer = trainer()
    last = [
        max(targets.max().item() for _, targets in loader)
        for loader in (data.val_dataloader(), data.test_dataloader())
    ]
    assert last == [29, 39]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_that_is_too_short_is_refused_at_once(split):
    with pytest.raises(UserError, match=r"4 tokens is too short for model.context=4"):
        make_data(**{split: CONTEXT})


def test_only_a_share_is_trained_on_and_all_is_evaluated_on():
    data = make_data(share=0.1)  # of 500 tokens, which count upwards
    assert data.describe() == {"train_tokens": 50, "train_share": 0.1}
    batches = data.training_batches(rank=0, world_size=1)
    assert max(batches[i][1].max().item() for i in range(100)) == 49
    data.trainer = trainer()
    assert max(targets.max().item() for _, targets in data.val_dataloader()) == 49


def test_a_share_that_is_too_short_is_refused_by_its_name():
    with pytest.raises(
        UserError, match=r"^data\.train_fraction=0\.008: a split of 4 tokens is too short"
    ):
        make_data(share=0.008)


@given(
    windows=st.integers(1, 60),
    tokens=st.one_of(st.none(), st.integers(1, 300)),
    devices=st.integers(1, 3),
)
@few_examples
def test_validation_reads_a_part_evenly_spread(windows, tokens, devices):
    """About `tokens` tokens, at least one window for each device, and no window twice."""
    data = make_data(val=windows * CONTEXT + 1)
    data.val_tokens = tokens
    items = data.validation_items(devices)
    wanted = windows if tokens is None else max(devices, -(-tokens // CONTEXT))
    assert len(items) == min(windows, wanted)
    assert items[0] == 0
    assert items == sorted(set(items))
    assert items[-1] < windows
    gaps = np.diff([*items, windows])
    assert gaps.max() - gaps.min() <= 1


def test_only_a_validation_of_training_reads_a_part():
    data = make_data(val=20 * CONTEXT + 1)
    data.val_tokens = 5 * CONTEXT
    numbers = {}
    for fn in (TrainerFn.FITTING, TrainerFn.VALIDATING):
        shares = []
        for rank in range(2):
            data.trainer = trainer(rank=rank, world_size=2, fn=fn)
            shares.append(list(data.val_dataloader().sampler))
        assert not set(shares[0]) & set(shares[1])
        numbers[fn] = sorted([*shares[0], *shares[1]])
    assert numbers[TrainerFn.FITTING] == [0, 4, 8, 12, 16]
    assert numbers[TrainerFn.VALIDATING] == list(range(20))
