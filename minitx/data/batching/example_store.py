"""A corpus of examples as ids on disk: tokenised once for each tokenizer, then mapped into memory.

The columns of a corpus are source and target, or text. A folder of the cache has

    <split>.<column>.ids.npy and .offsets.npy    the ids
    <split>.jsonl                                the examples as text
    <column>.json                                the column's tokenizer
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Generic

from minitx.data.batching.cache import cached
from minitx.data.batching.ragged import Ragged
from minitx.data.corpora.examples import ExampleCorpus, Record
from minitx.data.progress import announced, progress
from minitx.data.tokenizers.sequence import SequenceTokenizer, train_sequence_tokenizer
from minitx.errors import UserError

FORMAT = 1  # increment when the same corpus would get other ids
BLOCK = 4096  # examples to tokenise at a time


@dataclass(frozen=True)
class ExampleStore:
    """A finished folder of the cache.

    `fingerprint` identifies the examples and the tokenizers. `counts` has the number of examples of
    each split, `tokenizers` one for each column.
    """

    folder: Path
    fingerprint: str
    counts: dict[str, int]
    tokenizers: dict[str, SequenceTokenizer]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.counts)

    def ids(self, split: str, column: str) -> Ragged:
        """Return the ids of a column, one row for each example, without <bos> and <eos>."""
        return Ragged.load(self.folder, f"{split}.{column}")

    def examples(self, split: str) -> list[list[Any]]:
        """Return the examples of a split as text: the fields of the corpus's named tuple."""
        with announced(f"reading {split}"):
            text = (self.folder / f"{split}.jsonl").read_text(encoding="utf-8")
            return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Plan(Generic[Record]):
    """How a corpus becomes ids: its columns of text, and the kind of each column's tokenizer.

    Tokenizers are trained on train only. With `shared_vocab`, all columns have one tokenizer.
    """

    corpus: ExampleCorpus[Record]
    columns: dict[str, Callable[[Record], str]]
    kinds: dict[str, str]
    vocab_size: int
    shared_vocab: bool = False

    @property
    def key(self) -> str:
        """The name of the folder. It differs for another corpus or another tokenizer."""
        size = None if set(self.kinds.values()) == {"char"} else self.vocab_size
        parts = [FORMAT, self.corpus.fingerprint, self.kinds, size, self.shared_vocab]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def open_examples(plan: Plan[Record], cache_dir: Path) -> ExampleStore:
    """Return the tokenised examples from `cache_dir`, after tokenising them if necessary.

    Raises UserError if the cache cannot be written, if columns of different kinds share a
    vocabulary, and as `train_sequence_tokenizer` and the corpus do.
    """
    if plan.shared_vocab and len(set(plan.kinds.values())) > 1:
        kinds = " and ".join(f"{kind} for the {name}" for name, kind in plan.kinds.items())
        raise UserError(f"one shared tokenizer cannot be {kinds}: choose one kind for both")
    return cached(cache_dir / plan.key, _load, partial(_build, plan))


def _load(folder: Path) -> ExampleStore | None:
    """Return the finished store in a folder, or None if its files do not belong together."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    tokenizers = {
        column: SequenceTokenizer.from_json((folder / f"{column}.json").read_text("utf-8"))
        for column in meta["tokenizers"]
    }
    hashes = {column: tokenizer.fingerprint for column, tokenizer in tokenizers.items()}
    both = hashlib.sha256(json.dumps([meta["corpus"], hashes]).encode()).hexdigest()
    store = ExampleStore(folder, both, meta["counts"], tokenizers)
    whole = all(
        len(store.ids(split, column)) == count
        for split, count in store.counts.items()
        for column in tokenizers
    )
    return store if whole and hashes == meta["tokenizers"] else None


def _build(plan: Plan[Record], folder: Path) -> None:
    """Write a store into an empty folder."""
    corpus = plan.corpus
    with progress() as watch:

        def stream(doing: str, split: str) -> Iterator[Record]:
            return watch(doing, corpus.splits[split](), corpus.counts[split], lambda example: 1)

        def texts(columns: list[str]) -> Iterator[str]:
            for example in stream("learning tokens", "train"):
                yield from (plan.columns[column](example) for column in columns)

        tokenizers: dict[str, SequenceTokenizer] = {}
        single = [[column] for column in plan.columns]
        for columns in [list(plan.columns)] if plan.shared_vocab else single:
            kind = plan.kinds[columns[0]]
            tokenizer = train_sequence_tokenizer(kind, plan.vocab_size, texts(columns))
            tokenizers |= dict.fromkeys(columns, tokenizer)
        for split in corpus.splits:
            _write(plan, tokenizers, stream(f"tokenising {split}", split), folder, split)
    for column, tokenizer in tokenizers.items():
        (folder / f"{column}.json").write_text(tokenizer.to_json(), encoding="utf-8")
    meta = {
        "name": corpus.name,
        "corpus": corpus.fingerprint,
        "tokenizers": {column: tokenizer.fingerprint for column, tokenizer in tokenizers.items()},
        "counts": corpus.counts,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")


def _write(
    plan: Plan[Record],
    tokenizers: dict[str, SequenceTokenizer],
    examples: Iterator[Record],
    folder: Path,
    split: str,
) -> None:
    """Write the texts and ids of a split."""
    parts: dict[str, list[Ragged]] = {column: [] for column in plan.columns}
    with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
        while block := list(islice(examples, BLOCK)):
            file.writelines(json.dumps(example) + "\n" for example in block)
            for column, text in plan.columns.items():
                ids = tokenizers[column].encode_batch([text(example) for example in block])
                parts[column].append(Ragged.of(ids, tokenizers[column].dtype))
    for column, blocks in parts.items():
        Ragged.joined(blocks).save(folder, f"{split}.{column}")
