"""Associative recall: the sequences, the objective and the measures."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader

from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.recall import Recall, distances
from minitx.data.batching.windows import IGNORE
from minitx.data.module import GeneratedData, evaluation_batch
from minitx.data.progress import progress
from minitx.errors import UserError
from minitx.models.language_model import LanguageModel
from minitx.objectives.answers import Answering
from minitx.runs.vocabulary import TextVocabulary
from minitx.tasks.base import EXAMPLE, Evaluation
from minitx.tasks.generated import GeneratedTask
from minitx.tasks.requirements import batch_windows
from minitx.tasks.windows import evaluate_windows


class Answers(NamedTuple):
    """A model's answers to all queries of some sequences, in reading order.

    `distance` int64 (queries,) is the distance to the key in tokens; `right` is bool (queries,).
    """

    distance: np.ndarray
    right: np.ndarray


class RecallTask(GeneratedTask):
    """Predict the values of queried keys, in sequences of `model.context` tokens."""

    store: Recall

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.batch_size = batch_windows(config)
        context = config.model.context
        pairs = max(1, context // 8) if config.task.pairs is None else config.task.pairs
        self.store = Recall(pairs, context)
        if self.batch_size < len(self.store.numbers):
            mixed = ", ".join(map(str, self.store.numbers))
            raise UserError(
                f"data.batch_size={self.batch_size} is too small: a batch mixes sequences of "
                f"{mixed} pairs, set data.batch_size={len(self.store.numbers)} or more"
            )
        self.vocabulary = TextVocabulary(self.store.tokenizer)

    def data(self) -> GeneratedData:
        context = self.store.context
        return GeneratedData(
            self.store,
            self.batch_size,
            self.config.seed,
            evaluation_batch(context),
            context,
            **self.loader_options(),
        )

    def objective(self, model: nn.Module, done: Callable[[], float]) -> Answering:
        return Answering(
            model,
            *self.objective_arguments(done),
            answers=self._queries(),
            label_smoothing=self.config.task.label_smoothing,
        )

    def _queries(self) -> float:
        """Return the mean number of queries in a training sequence."""
        mixture = self.store.mixture(self.batch_size)
        return sum(pairs * rows for (pairs, _), rows in mixture.items()) / self.batch_size

    def first(self) -> tuple[Tensor, Tensor]:
        inputs, targets = self.store.split("val")[0]
        return inputs, targets

    def example(self) -> str:
        """Return the first pairs of val, followed by a query for each of them."""
        pairs = self.store.split("val")[0][0][: 2 * min(self.store.pairs, EXAMPLE // 3)]
        return self.store.tokenizer.decode([*pairs.tolist(), *pairs[::2].tolist()])

    def example_texts(self, count: int) -> Iterator[tuple[str, None]]:
        for inputs in self.store.split("val").tensors[0][:count]:
            yield self.store.tokenizer.decode(inputs.tolist()), None

    def evaluate(self, model: LanguageModel, split: str, decoding: DecodingConfig) -> Evaluation:
        return evaluate_windows(
            model,
            self.store.split(split),
            evaluation_batch(self.store.context),
            byte_lengths=None,
            doing=f"measuring {split}",
        )

    @torch.inference_mode()
    def answers(self, model: LanguageModel, split: str, pairs: int) -> Answers:
        """Return the answers of a model, in eval mode, to the queries of a split.

        Only sequences with this number of `pairs` are used, which must be one of the mixture's.
        """
        device = next(model.parameters()).device
        loader = DataLoader(self.store.split(split, pairs), evaluation_batch(self.store.context))
        distance, right = [], []
        with progress() as watch:
            for batch in watch(f"asking {split}, {pairs} pairs", loader, len(loader), lambda _: 1):
                inputs, targets = move_data_to_device(batch, device)
                logits, _ = model(inputs)
                asked = targets != IGNORE  # (B, T)
                distance.append(distances(inputs, targets))
                right.append(logits[asked].argmax(dim=-1) == targets[asked])
        return Answers(torch.cat(distance).cpu().numpy(), torch.cat(right).cpu().numpy())
