"""Texts with labels as ids, ready to be batched."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from minitx.data.batching.batches import LabelBatch, label_batch
from minitx.data.batching.example_store import ExampleStore, Plan, StoreView, open_examples
from minitx.data.batching.ragged import Ragged
from minitx.data.corpora.labels import Example, LabelCorpus
from minitx.data.tokenizers.sequence import SequenceTokenizer


@dataclass(frozen=True)
class LabelSplit:
    """Example i is row i of `text`; `names` are the labels in the order of their ids."""

    name: str
    text: Ragged
    names: tuple[str, ...]
    store: ExampleStore

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of every text as they are in a batch, with <bos>: int64 (N, 1)."""
        return self.text.lengths[:, None] + 1

    @property
    def targets(self) -> np.ndarray:
        """Predictions of every example: one, int64 (N,)."""
        return np.ones(len(self), np.int64)

    @property
    def tokens(self) -> np.ndarray:
        """Tokens seen are those that are read: int64 (N,)."""
        return self.lengths[:, 0]

    @cached_property
    def examples(self) -> list[Example]:
        """The examples as text."""
        return [Example(text, label) for text, label in self.store.examples(self.name)]

    @cached_property
    def labels(self) -> np.ndarray:
        """The label of every example, int64 (N,)."""
        ids = {name: i for i, name in enumerate(self.names)}
        return np.array([ids[example.label] for example in self.examples], np.int64)

    def batch(self, rows: np.ndarray) -> LabelBatch:
        """The batch of some examples."""
        return label_batch(self.text.take(rows), self.labels[rows])


@dataclass(frozen=True)
class LabelStore(StoreView):
    """The ids of a corpus with labels, and the tokenizer that made them."""

    labels: tuple[str, ...]  # names of the classes, in the order of their ids

    @property
    def tokenizer(self) -> SequenceTokenizer:
        return self.store.tokenizers["text"]

    def split(self, name: str) -> LabelSplit:
        return LabelSplit(name, self.store.ids(name, "text"), self.labels, self.store)


def open_labels(corpus: LabelCorpus, kind: str, vocab_size: int, cache_dir: Path) -> LabelStore:
    """Tokenise a corpus with labels, or find it tokenised in `cache_dir`.

    Raises UserError as `open_examples`.
    """
    columns = {"text": lambda example: example.text}
    plan = Plan(corpus, columns, kinds={"text": kind}, vocab_size=vocab_size)
    return LabelStore(open_examples(plan, cache_dir), corpus.labels)
