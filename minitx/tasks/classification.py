"""Classification: the corpus, the objective and the measures."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import nn

from minitx.config.schema import Config, DecodingConfig
from minitx.data.batching.batches import WholeBatches
from minitx.data.batching.buckets import EVALUATION_TOKENS
from minitx.data.batching.label_store import LabelStore, open_labels
from minitx.data.corpora.sources import source_of
from minitx.data.module import ExampleData, require_context
from minitx.data.progress import announced, progress
from minitx.metrics.scores import accuracy, confusion, macro_f1, ratio
from minitx.models.classifier import Classifier
from minitx.objectives.classification import Classification
from minitx.runs.vocabulary import LabelVocabulary
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.clusters import clusters_of
from minitx.tasks.requirements import batch_tokens


class ClassificationTask(Task[Classifier, LabelVocabulary]):
    """Predict the label of a text."""

    store: LabelStore

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        data = config.data
        self.budget = batch_tokens(config)
        self.corpus = source_of(config).open(config)
        self.store = open_labels(self.corpus, data.tokenizer, data.vocab_size, self.cache_dir)
        self.labels = self.store.labels
        self.vocabulary = LabelVocabulary(self.store.tokenizer, self.labels)

    def notes(self) -> tuple[str, ...]:
        return self.corpus.notes

    def data(self) -> ExampleData:
        config = self.config
        return ExampleData(
            self.store,
            config.model.context,
            self.budget,
            config.seed,
            config.data.train_fraction,
            **self.loader_options(),
        )

    def objective(self, model: nn.Module, done: Callable[[], float]) -> Classification:
        return Classification(
            model,
            *self.objective_arguments(done),
            labels=len(self.labels),
            label_smoothing=self.config.task.label_smoothing,
        )

    def example(self) -> str:
        return min((example.text for example in self.store.split("val").examples[:20]), key=len)

    def example_texts(self, count: int) -> Iterator[tuple[str, None]]:
        for example in self.store.split("val").examples[:count]:
            yield example.text, None

    @torch.inference_mode()
    def evaluate(self, model: Classifier, split: str, decoding: DecodingConfig) -> Evaluation:
        device = next(model.parameters()).device
        examples = self.store.split(split)
        require_context(examples, self.config.model.context)
        batches = WholeBatches(examples, EVALUATION_TOKENS)
        log_p = np.zeros((len(examples), len(self.labels)))
        with progress() as watch:
            numbers = watch(f"measuring {split}", range(len(batches)), len(batches), lambda _: 1)
            for j in numbers:
                batch = move_data_to_device(batches[j], device)
                logits = model(batch.tokens, batch.padding)
                log_p[batches.rows[j]] = logits.cpu().double().log_softmax(dim=-1).numpy()
        probabilities = np.exp(log_p)
        predicted, true = probabilities.argmax(axis=1), examples.labels
        labels = len(self.labels)
        clusters = clusters_of(list(map(self.corpus.family, examples.examples)))
        with announced(f"scoring {split}"):
            nats = -log_p[np.arange(len(true)), true]
            scores = {
                "loss": replace(ratio(nats, np.ones(len(true)), clusters), items=None),
                "accuracy": accuracy(predicted, true, clusters),
                "macro_f1": macro_f1(predicted, true, labels, clusters),
            }
        return Evaluation.of_scores(
            scores,
            clusters,
            outputs=[
                {
                    "text": example.text,
                    "label": example.label,
                    "predicted": self.labels[best],
                    "probability": float(row[best]),
                }
                for example, best, row in zip(
                    examples.examples, predicted, probabilities, strict=True
                )
            ],
            confusion=confusion(predicted, true, labels),
        )
