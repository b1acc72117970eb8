"""A corpus of running text as ids on disk: tokenised once, then mapped into memory."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from minitx.data.batching.cache import cached
from minitx.data.corpora.text import Corpus
from minitx.data.progress import progress
from minitx.data.tokenizers.text import Tokenizer, train_tokenizer

FORMAT = 1  # increment when the same corpus would get other ids


@dataclass(frozen=True)
class TokenStore:
    """The ids of a corpus and its tokenizer.

    `fingerprint` identifies both. `lengths` are the numbers of tokens in the splits.
    """

    folder: Path
    tokenizer: Tokenizer
    fingerprint: str
    lengths: dict[str, int]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.lengths)

    def split(self, name: str, fraction: float = 1.0) -> np.ndarray:
        """Return the first `fraction` of a split's ids.

        They are a read-only map (tokens,) of the file, of the tokenizer's dtype.
        """
        tokens = round(fraction * self.lengths[name])
        if not tokens:
            return np.empty(0, self.tokenizer.dtype)  # an empty file cannot be mapped
        file = _ids_file(self.folder, name)
        return np.memmap(file, self.tokenizer.dtype, mode="r", shape=(tokens,))


def open_tokens(
    corpus: Corpus, kind: str, vocab_size: int, cache_dir: Path, given: Tokenizer | None = None
) -> TokenStore:
    """Return a tokenised corpus from `cache_dir`, after tokenising it if necessary.

    A tokenizer is trained on the corpus, unless one is `given`.

    A damaged store is replaced: one whose files have other checksums or sizes, or whose tokenizer
    is another.
    Raises UserError if the cache cannot be written, and as `train_tokenizer` and the corpus do.
    """
    if given is not None:
        kind = given.fingerprint
    folder = cache_dir / _key(corpus, kind, vocab_size)
    build = partial(_build, corpus, kind, vocab_size, given)
    return cached(folder, partial(_load, given), build)


def _key(corpus: Corpus, kind: str, vocab_size: int) -> str:
    parts = [FORMAT, corpus.fingerprint, kind, vocab_size if kind == "bpe" else None]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _ids_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.bin"


def _load(given: Tokenizer | None, folder: Path) -> TokenStore | None:
    """Return the finished store in a folder, or None if its files do not belong together."""
    saved = (folder / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = Tokenizer.from_json(saved) if given is None else given
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    lengths, trained_on, learned = meta["lengths"], meta["corpus"], meta["tokenizer"]
    sizes = {name: _ids_file(folder, name).stat().st_size for name in lengths}
    expected = {name: length * tokenizer.dtype.itemsize for name, length in lengths.items()}
    if tokenizer.fingerprint != learned or sizes != expected:
        return None
    both = hashlib.sha256((trained_on + learned).encode())
    return TokenStore(folder, tokenizer, both.hexdigest(), lengths)


def _build(
    corpus: Corpus, kind: str, vocab_size: int, given: Tokenizer | None, folder: Path
) -> None:
    """Write a store into an empty folder."""
    with progress() as watch:

        def text(doing: str, splits: list[str]) -> Iterator[str]:
            pieces = chain.from_iterable(corpus.splits[name]() for name in splits)
            return watch(doing, pieces, sum(corpus.characters[name] for name in splits), len)

        learned_from = ["train"] if kind == "bpe" else list(corpus.splits)
        tokenizer = given or train_tokenizer(
            kind, vocab_size, text("learning tokens", learned_from)
        )
        lengths = {
            name: _write(tokenizer, text(f"tokenising {name}", [name]), folder, name)
            for name in corpus.splits
        }
    meta = {
        "name": corpus.name,
        "corpus": corpus.fingerprint,
        "tokenizer": tokenizer.fingerprint,
        "lengths": lengths,
    }
    (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    (folder / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")


def _write(tokenizer: Tokenizer, texts: Iterator[str], folder: Path, split: str) -> int:
    """Write the ids of a split. Return their number."""
    with _ids_file(folder, split).open("wb") as file:
        for ids in tokenizer.encode_stream(texts):
            file.write(ids.tobytes())
        return file.tell() // tokenizer.dtype.itemsize
