"""Batches for Lightning, in an order that depends only on the seed and the step."""

import math
import signal
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader, Dataset

from minitx.data.batching.batches import Subset, TrainingBatches, WholeBatches, drawn_subset
from minitx.data.batching.buckets import EVALUATION_TOKENS
from minitx.data.batching.generated import AnswerBatches, Generated
from minitx.data.batching.label_store import LabelSplit, LabelStore
from minitx.data.batching.pair_store import PairSplit, PairStore
from minitx.data.batching.token_store import TokenStore
from minitx.data.batching.windows import DisjointWindows, RandomWindows
from minitx.errors import UserError


def evaluation_batch(context: int) -> int:
    """Return the number of windows of this length in an evaluation batch."""
    return max(1, EVALUATION_TOKENS // context)


def _ignore_signals(worker: int) -> None:
    """Ignore SIGINT and SIGTERM in a worker. The main process handles them and ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class StepDataModule(L.LightningDataModule):
    """Endless training batches, and whole splits for evaluation.

    An epoch of Lightning is here the steps from one validation to the next. It starts at the
    trainer's current step, so that a resumed run needs no state of its loader.

    `evaluation` has the evaluation data of each split except train: whole batches, or single
    windows if `evaluation_size` is the number of windows in a batch. Such an item has up to
    `item_tokens` tokens. During training, validation reads about `val_tokens` tokens of val, always
    the same ones. None means all of them.
    """

    def __init__(
        self,
        evaluation: dict[str, Any],
        evaluation_size: int | None,
        item_tokens: int,
        *,
        steps_an_epoch: int,
        accumulate: int = 1,
        workers: int = 0,
        val_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.evaluation, self.evaluation_size = evaluation, evaluation_size
        self.item_tokens, self.val_tokens = item_tokens, val_tokens
        self.steps_an_epoch, self.accumulate, self.workers = steps_an_epoch, accumulate, workers

    def training_batches(self, rank: int, world_size: int) -> Dataset[Any]:
        """Return a rank's training batches, by their number."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return figures that describe the training data."""
        raise NotImplementedError

    def validation_items(self, devices: int = 1) -> list[int]:
        """Return the items of val that validation reads during training, evenly spaced.

        There is at least one for each device.
        """
        items = len(self.evaluation["val"])
        part = items
        if self.val_tokens is not None:
            part = min(items, max(devices, math.ceil(self.val_tokens / self.item_tokens)))
        return [number * items // part for number in range(part)]

    @property
    def validation_fraction(self) -> float:
        """The fraction of val that validation reads during training."""
        return len(self.validation_items()) / len(self.evaluation["val"])

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        step = trainer.global_step
        # Up to the next multiple, so that validation happens at the same steps after resuming.
        end = step - step % self.steps_an_epoch + self.steps_an_epoch
        if trainer.max_steps > 0:
            end = min(end, trainer.max_steps)
        return DataLoader(
            self.training_batches(trainer.global_rank, trainer.world_size),
            sampler=range(step * self.accumulate, end * self.accumulate),
            batch_size=None,  # an item is a whole batch
            num_workers=self.workers,
            worker_init_fn=_ignore_signals,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        if self.trainer.state.fn == TrainerFn.FITTING:
            return self._evaluated("val", self.validation_items(self.trainer.world_size))
        return self._evaluated("val", range(len(self.evaluation["val"])))

    def test_dataloader(self) -> DataLoader[Any]:
        return self._evaluated("test", range(len(self.evaluation["test"])))

    def _evaluated(self, split: str, items: Sequence[int]) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        return DataLoader(
            self.evaluation[split],
            sampler=items[trainer.global_rank :: trainer.world_size],
            batch_size=self.evaluation_size,
        )


class LanguageModelingData(StepDataModule):
    """Random windows for training, disjoint windows for evaluation.

    `batch_size` counts windows over all devices. Training uses the first `train_fraction` of its
    split. Raises UserError if a split, or this part of it, is shorter than one context.
    """

    def __init__(
        self,
        store: TokenStore,
        context: int,
        batch_size: int,
        seed: int,
        train_fraction: float = 1.0,
        **options: Any,
    ) -> None:
        self.store, self.context, self.batch_size, self.seed = store, context, batch_size, seed
        self.train_fraction = train_fraction
        try:  # refuse a split that is too short now, not at the first step
            self.training_batches(rank=0, world_size=1)
        except UserError as error:
            if train_fraction == 1:
                raise
            raise UserError(f"data.train_fraction={train_fraction:g}: {error}") from error
        evaluation = {
            split: DisjointWindows(store.split(split), context)
            for split in store.splits
            if split != "train"
        }
        super().__init__(evaluation, evaluation_batch(context), context, **options)

    def training_batches(self, rank: int, world_size: int) -> RandomWindows:
        """Return a rank's windows."""
        tokens = self.store.split("train", self.train_fraction)
        return RandomWindows(tokens, self.context, self.batch_size, self.seed, rank, world_size)

    def describe(self) -> dict[str, Any]:
        tokens = self.store.split("train", self.train_fraction)
        return {"train_tokens": len(tokens), "train_share": self.train_fraction}


class GeneratedData(StepDataModule):
    """New sequences for every training batch, and always the same ones for evaluation.

    `batch_size` counts sequences over all devices. `evaluation_size` and `item_tokens` are
    those of `StepDataModule`.
    """

    def __init__(
        self,
        store: Generated,
        batch_size: int,
        seed: int,
        evaluation_size: int | None,
        item_tokens: int,
        **options: Any,
    ) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed
        evaluation = {split: store.split(split) for split in store.splits}
        super().__init__(evaluation, evaluation_size, item_tokens, **options)

    def training_batches(self, rank: int, world_size: int) -> AnswerBatches:
        """Return a rank's sequences."""
        return AnswerBatches(self.store, self.batch_size, self.seed, rank, world_size)

    def describe(self) -> dict[str, Any]:
        return {}  # training data is endless


class ExampleData(StepDataModule):
    """Pairs, or texts with labels, in batches of `batch_tokens` tokens over all devices.

    Training uses `train_fraction` of its examples (see `drawn_subset`) and drops those longer than
    `context`. Evaluation drops none. Raises UserError if an evaluation example is longer than
    `context`, or if all training examples are.
    """

    def __init__(
        self,
        store: PairStore | LabelStore,
        context: int,
        batch_tokens: int,
        seed: int,
        train_fraction: float = 1.0,
        **options: Any,
    ) -> None:
        self.store, self.context, self.batch_tokens, self.seed = store, context, batch_tokens, seed
        self.train_fraction = train_fraction
        self.train: Subset[Any] = drawn_subset(store.split("train"), train_fraction)
        splits = {name: store.split(name) for name in store.splits if name != "train"}
        for split in splits.values():
            require_context(split, context)
        batches = {name: WholeBatches(split, EVALUATION_TOKENS) for name, split in splits.items()}
        super().__init__(batches, None, EVALUATION_TOKENS, **options)

    def describe(self) -> dict[str, Any]:
        numbers = self.training_batches(rank=0, world_size=1).numbers
        return {
            "train_examples": len(self.train),
            "train_share": self.train_fraction,
            "train_examples_left_out": numbers.dropped,
            "batches_an_epoch": numbers.per_epoch,
            "padding_share": round(numbers.padding_fraction(), 4),
        }

    def training_batches(self, rank: int, world_size: int) -> TrainingBatches[Any]:
        """Return a rank's batches."""
        return TrainingBatches(
            self.train,
            self.context,
            self.batch_tokens,
            self.seed,
            rank,
            world_size,
            self.accumulate,
        )


def require_context(split: PairSplit | LabelSplit, context: int) -> None:
    """Raise UserError if an example is longer than `context`. Evaluation drops none."""
    if (longest := int(split.lengths.max())) > context:
        raise UserError(
            f"model.context={context} is too short for the {split.name} split, whose longest "
            f"example has {longest} tokens; set model.context={longest}"
        )
