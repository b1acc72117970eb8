"""Labelled texts as ids, ready for batching."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from minitx.data.batching.batches import LabelBatch, label_batch
from minitx.data.batching.example_store import ExampleStore, Plan, open_examples
from minitx.data.batching.ragged import Ragged
from minitx.data.corpora.labels import Example, LabelCorpus
from minitx.data.tokenizers.sequence import SequenceTokenizer


@dataclass(frozen=True)
class LabelSplit:
    """A split of labelled texts. Text i is row i of `text`. `names` are the labels by their ids."""

    name: str
    text: Ragged
    names: tuple[str, ...]
    store: ExampleStore

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each text in a batch, with <bos>, int64 (N, 1)."""
        return self.text.lengths[:, None] + 1

    @property
    def targets(self) -> np.ndarray:
        """The number of predictions for each text, which is one, int64 (N,)."""
        return np.ones(len(self), np.int64)

    @property
    def tokens(self) -> np.ndarray:
        """The number of tokens seen for each text, int64 (N,)."""
        return self.lengths[:, 0]

    @cached_property
    def examples(self) -> list[Example]:
        """The examples as text."""
        return [Example(text, label) for text, label in self.store.examples(self.name)]

    @cached_property
    def labels(self) -> np.ndarray:
        """The label of each text, int64 (N,)."""
        ids = {name: i for i, name in enumerate(self.names)}
        return np.array([ids[example.label] for example in self.examples], np.int64)

    def batch(self, rows: np.ndarray) -> LabelBatch:
        """Return the batch of some examples."""
        return label_batch(self.text.take(rows), self.labels[rows])


@dataclass(frozen=True)
class LabelStore(ExampleStore):
    """The ids of labelled texts and the tokenizer. `labels` are the classes by their ids."""

    labels: tuple[str, ...]

    @property
    def tokenizer(self) -> SequenceTokenizer:
        return self.tokenizers["text"]

    def split(self, name: str) -> LabelSplit:
        return LabelSplit(name, self.ids(name, "text"), self.labels, self)


def open_labels(corpus: LabelCorpus, kind: str, vocab_size: int, cache_dir: Path) -> LabelStore:
    """Return tokenised texts with labels from `cache_dir`, after tokenising them if necessary.

    Raises UserError as `open_examples` does.
    """
    columns = {"text": lambda example: example.text}
    plan = Plan(corpus, columns, kinds={"text": kind}, vocab_size=vocab_size)
    return LabelStore(**vars(open_examples(plan, cache_dir)), labels=corpus.labels)
