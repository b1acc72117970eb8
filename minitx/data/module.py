"""Batches for Lightning, in an order that depends on nothing but the seed and the step."""

import math
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader, Dataset, Sampler

from minitx.data.batching.batches import Subset, TrainingBatches, WholeBatches, drawn_subset
from minitx.data.batching.buckets import EVALUATION_TOKENS
from minitx.data.batching.label_store import LabelSplit, LabelStore
from minitx.data.batching.pair_store import PairSplit, PairStore
from minitx.data.batching.recall import Recall, RecallBatches
from minitx.data.batching.token_store import TokenStore
from minitx.data.batching.windows import DisjointWindows, RandomWindows
from minitx.errors import UserError


def evaluation_batch(context: int) -> int:
    """How many windows of this length are evaluated at once."""
    return max(1, EVALUATION_TOKENS // context)


class Numbers(Sampler[int]):
    """The numbers by which a data set is asked for batches or windows, in their order."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def _leave_signals_to_the_first(worker: int) -> None:
    """A terminal sends Ctrl-C to all processes, but the first decides when the others end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class StepDataModule(L.LightningDataModule):
    """Batches to train on without end; every split whole to evaluate on.

    What Lightning calls an epoch is here the stretch of steps from one validation to the next. It
    starts at the step the trainer has reached, so that a resumed run needs no state of its loader.

    `evaluation` is what each split but train is evaluated on: whole batches, or single windows
    if `evaluation_size` says how many of them make a batch. An item of it has up to `item_tokens`.
    While a model trains, validation reads about `val_tokens` of its split, the same ones each time
    (None: all of them).
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
        """The batches, by number, of one of the processes that train together."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What there is to train on, in plain figures."""
        raise NotImplementedError

    def validation_items(self, devices: int = 1) -> list[int]:
        """The items of val that validation reads while a model trains, evenly spread.

        At least one for each of the devices.
        """
        items = len(self.evaluation["val"])
        part = items
        if self.val_tokens is not None:
            part = min(items, max(devices, math.ceil(self.val_tokens / self.item_tokens)))
        return [number * items // part for number in range(part)]

    @property
    def validation_fraction(self) -> float:
        """The fraction of val that validation reads while a model trains."""
        return len(self.validation_items()) / len(self.evaluation["val"])

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        step = trainer.global_step
        # Up to the next multiple, so that validations fall on the same steps after an interruption.
        end = step - step % self.steps_an_epoch + self.steps_an_epoch
        if trainer.max_steps > 0:
            end = min(end, trainer.max_steps)
        return DataLoader(
            self.training_batches(trainer.global_rank, trainer.world_size),
            sampler=Numbers(range(step * self.accumulate, end * self.accumulate)),
            batch_size=None,  # the data set gives whole batches
            num_workers=self.workers,
            worker_init_fn=_leave_signals_to_the_first,
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
            sampler=Numbers(items[trainer.global_rank :: trainer.world_size]),
            batch_size=self.evaluation_size,
        )


class LanguageModelingData(StepDataModule):
    """Random windows to train on, disjoint windows to evaluate on.

    `batch_size` counts windows over all devices. Training sees the first tokens of its split only,
    that `share` of it. Raises UserError for a split, or what is left of it, that is shorter than
    one context.
    """

    def __init__(
        self,
        store: TokenStore,
        context: int,
        batch_size: int,
        seed: int,
        share: float = 1.0,
        **options: Any,
    ) -> None:
        self.store, self.context, self.batch_size, self.seed = store, context, batch_size, seed
        self.share = share
        try:  # say now that a split is too short
            self.training_batches(rank=0, world_size=1)
        except UserError as error:
            raise (
                error if share == 1 else UserError(f"data.train_fraction={share:g}: {error}")
            ) from error
        evaluation = {
            split: DisjointWindows(store.split(split), context)
            for split in store.splits
            if split != "train"
        }
        super().__init__(evaluation, evaluation_batch(context), context, **options)

    def training_batches(self, rank: int, world_size: int) -> RandomWindows:
        """The windows of one of the processes that train together."""
        tokens = self.store.split("train", self.share)
        return RandomWindows(tokens, self.context, self.batch_size, self.seed, rank, world_size)

    def describe(self) -> dict[str, Any]:
        tokens = self.store.split("train", self.share)
        return {"train_tokens": len(tokens), "train_share": self.share}


class RecallData(StepDataModule):
    """Sequences made as they are asked for to train on, the same ones always to evaluate on.

    `batch_size` counts sequences over all devices.
    """

    def __init__(self, recall: Recall, batch_size: int, seed: int, **options: Any) -> None:
        self.recall, self.batch_size, self.seed = recall, batch_size, seed
        evaluation = {split: recall.split(split) for split in recall.splits}
        context = recall.context
        super().__init__(evaluation, evaluation_batch(context), context, **options)

    def training_batches(self, rank: int, world_size: int) -> RecallBatches:
        """The sequences of one of the processes that train together."""
        return RecallBatches(self.recall, self.batch_size, self.seed, rank, world_size)

    def describe(self) -> dict[str, Any]:
        return {}  # there is no end of what there is to train on


class ExampleData(StepDataModule):
    """Pairs, or texts with labels, in batches of `batch_tokens` tokens over all devices.

    Training sees a `share` of its examples (see `drawn_subset`) and leaves out what is longer than
    `context`. Evaluation may leave nothing out: raises UserError where one of its examples is
    longer, and where no example to train on is as short.
    """

    def __init__(
        self,
        store: PairStore | LabelStore,
        context: int,
        batch_tokens: int,
        seed: int,
        share: float = 1.0,
        **options: Any,
    ) -> None:
        self.store, self.context, self.batch_tokens, self.seed = store, context, batch_tokens, seed
        self.share = share
        self.train: Subset[Any] = drawn_subset(store.split("train"), share)
        splits = {name: store.split(name) for name in store.splits if name != "train"}
        for split in splits.values():
            require_context(split, context)
        batches = {name: WholeBatches(split, EVALUATION_TOKENS) for name, split in splits.items()}
        super().__init__(batches, None, EVALUATION_TOKENS, **options)

    def describe(self) -> dict[str, Any]:
        numbers = self.training_batches(rank=0, world_size=1).numbers
        return {
            "train_examples": len(self.train),
            "train_share": self.share,
            "train_examples_left_out": numbers.dropped,
            "batches_an_epoch": numbers.per_epoch,
            "padding_share": round(numbers.padding_share(), 4),
        }

    def training_batches(self, rank: int, world_size: int) -> TrainingBatches[Any]:
        """The batches of one of the processes that train together."""
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
    """Raises UserError where an example is longer: evaluation leaves out none."""
    if (longest := int(split.lengths.max())) > context:
        raise UserError(
            f"model.context={context} is too short for the {split.name} split, whose longest "
            f"example has {longest} tokens; set model.context={longest}"
        )
