"""Batches for Lightning, in an order that depends on nothing but the seed and the step."""

import signal
from collections.abc import Iterator
from typing import Any

import lightning as L
from torch.utils.data import DataLoader, Sampler

from minitx.data.token_store import TokenStore
from minitx.data.windows import DisjointWindows, RandomWindows

# Tokens in a batch of evaluation: large enough to keep a device busy, small enough for its memory.
EVALUATION_TOKENS = 8192


def evaluation_batch(context: int) -> int:
    """How many windows of this length are evaluated at once."""
    return max(1, EVALUATION_TOKENS // context)


class Batches(Sampler[int]):
    """The numbers from `start` to `stop` by which a data set is asked for batches or windows."""

    def __init__(self, start: int, stop: int, stride: int = 1) -> None:
        self.numbers = range(start, stop, stride)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def _leave_signals_to_the_first(worker: int) -> None:
    """A terminal sends Ctrl-C to all processes, but the first decides when the others end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class LanguageModelingData(L.LightningDataModule):
    """Random windows to train on; every split whole, in disjoint windows, to evaluate on.

    What Lightning calls an epoch is here the stretch of steps from one validation to the next. It
    starts at the step the trainer has reached, so that a resumed run needs no state of its loader.
    `batch_size` counts sequences over all devices. Raises UserError for a split shorter than one
    context.
    """

    def __init__(
        self,
        store: TokenStore,
        context: int,
        batch_size: int,
        seed: int,
        *,
        steps_an_epoch: int,
        accumulate: int = 1,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.store, self.context, self.batch_size, self.seed = store, context, batch_size, seed
        self.steps_an_epoch, self.accumulate, self.workers = steps_an_epoch, accumulate, workers
        self.train_windows(rank=0, world_size=1)  # say now that a split is too short
        self.evaluation = {
            split: DisjointWindows(store.split(split), context)
            for split in store.splits
            if split != "train"
        }

    def train_windows(self, rank: int, world_size: int) -> RandomWindows:
        """The batches of one of the processes that train together."""
        return RandomWindows(
            self.store.split("train"), self.context, self.batch_size, self.seed, rank, world_size
        )

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        step = trainer.global_step
        # Up to the next multiple, so that validations fall on the same steps after an interruption.
        end = step - step % self.steps_an_epoch + self.steps_an_epoch
        if trainer.max_steps > 0:
            end = min(end, trainer.max_steps)
        return DataLoader(
            self.train_windows(trainer.global_rank, trainer.world_size),
            sampler=Batches(step * self.accumulate, end * self.accumulate),
            batch_size=None,  # the data set gives whole batches
            num_workers=self.workers,
            worker_init_fn=_leave_signals_to_the_first,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return self._whole("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._whole("test")

    def _whole(self, split: str) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        windows = self.evaluation[split]
        return DataLoader(
            windows,
            sampler=Batches(trainer.global_rank, len(windows), trainer.world_size),
            batch_size=evaluation_batch(self.context),
        )
