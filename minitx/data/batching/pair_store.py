"""Pairs of texts as ids, ready for batching."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from minitx.data.batching.batches import PairBatch, pair_batch
from minitx.data.batching.example_store import ExampleStore, Plan, open_examples
from minitx.data.batching.ragged import Ragged
from minitx.data.corpora.pairs import Pair, PairCorpus
from minitx.data.tokenizers.sequence import SequenceTokenizer


@dataclass(frozen=True)
class PairSplit:
    """A split of pairs. Pair i is row i of `source` and of `target`, the target to train on."""

    name: str
    source: Ragged
    target: Ragged
    store: ExampleStore

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of tokens of source and target in a batch, with <eos>, int64 (N, 2)."""
        return np.stack([self.source.lengths, self.target.lengths], axis=1) + 1

    @property
    def targets(self) -> np.ndarray:
        """The number of predictions for each pair, one for each target token, int64 (N,)."""
        return self.lengths[:, 1]

    @property
    def tokens(self) -> np.ndarray:
        """The number of tokens seen for each pair, those of the target, int64 (N,)."""
        return self.targets

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs as text, with all references."""
        rows = self.store.examples(self.name)
        return [Pair(source, tuple(targets)) for source, targets in rows]

    def batch(self, rows: np.ndarray) -> PairBatch:
        """Return the batch of some pairs."""
        return pair_batch(self.source.take(rows), self.target.take(rows))


class PairStore(ExampleStore):
    """The ids of a corpus of pairs and the two tokenizers."""

    @property
    def source_tokenizer(self) -> SequenceTokenizer:
        return self.tokenizers["source"]

    @property
    def target_tokenizer(self) -> SequenceTokenizer:
        return self.tokenizers["target"]

    def split(self, name: str) -> PairSplit:
        source, target = (self.ids(name, column) for column in ("source", "target"))
        return PairSplit(name, source, target, self)


def open_pairs(
    corpus: PairCorpus,
    source_kind: str,
    target_kind: str,
    vocab_size: int,
    shared_vocab: bool,
    cache_dir: Path,
) -> PairStore:
    """Return a tokenised corpus of pairs from `cache_dir`, after tokenising it if necessary.

    With `shared_vocab`, one tokenizer is trained on both sides, which must be of one kind.
    Otherwise each side has its own. A tokenizer has at most `vocab_size` tokens. Raises UserError
    as `open_examples` does.
    """
    plan = Plan(
        corpus,
        columns={"source": lambda pair: pair.source, "target": lambda pair: pair.targets[0]},
        kinds={"source": source_kind, "target": target_kind},
        vocab_size=vocab_size,
        shared_vocab=shared_vocab,
    )
    return PairStore(**vars(open_examples(plan, cache_dir)))
