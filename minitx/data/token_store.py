"""A corpus as ids on disk: tokenised once, then read in place."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import monotonic

import numpy as np
from filelock import FileLock
from rich.console import Console
from rich.progress import Progress

from minitx.data.corpora import Corpus
from minitx.data.tokenizers import Tokenizer, train_tokenizer
from minitx.errors import UserError

FORMAT = 1  # raise it when other ids would be written for the same corpus
QUIET_SECONDS = 2  # progress is shown after these
LINE_SECONDS = 10  # from one line of progress to the next, where no bar can be drawn

Watch = Callable[[str, list[str]], Iterator[str]]


@dataclass(frozen=True)
class TokenStore:
    """The ids of a corpus and the tokenizer that made them.

    `fingerprint` identifies both. `lengths` are in tokens.
    """

    folder: Path
    tokenizer: Tokenizer
    fingerprint: str
    lengths: dict[str, int]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.lengths)

    def split(self, name: str) -> np.ndarray:
        """Ids of a split, (tokens,) of the tokenizer's dtype, read only, left on disk."""
        if not self.lengths[name]:
            return np.empty(0, self.tokenizer.dtype)  # an empty file cannot be mapped
        return np.memmap(_ids_file(self.folder, name), self.tokenizer.dtype, mode="r")


def default_cache_dir() -> Path:
    """$MINITX_CACHE, else ~/.cache/minitx."""
    return Path(os.environ.get("MINITX_CACHE") or "~/.cache/minitx").expanduser()


def open_tokens(corpus: Corpus, kind: str, vocab_size: int, cache_dir: Path) -> TokenStore:
    """Tokenise a corpus, or find it tokenised in `cache_dir`.

    Processes that start together wait for the first. What a killed process left half done is
    made anew, as is what no longer matches its hash. Raises UserError where the cache cannot be
    written, and as `train_tokenizer` and the corpus do.
    """
    folder = cache_dir / _key(corpus, kind, vocab_size)
    if store := _load(folder):
        return store
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            store = _load(folder)
            if store is None:
                _build(corpus, kind, vocab_size, folder)
                store = _load(folder)
    except OSError as error:
        raise UserError(
            f"cannot write {cache_dir} ({error.strerror}): "
            "give another folder with data.cache_dir=DIR or MINITX_CACHE"
        ) from error
    assert store is not None
    return store


def _key(corpus: Corpus, kind: str, vocab_size: int) -> str:
    parts = [FORMAT, corpus.fingerprint, kind, vocab_size if kind == "bpe" else None]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _ids_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.bin"


def _load(folder: Path) -> TokenStore | None:
    """The finished store in a folder, None where there is none or it is damaged."""
    try:
        tokenizer = Tokenizer.from_json((folder / "tokenizer.json").read_text(encoding="utf-8"))
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        lengths = meta["lengths"]
        sizes = {name: _ids_file(folder, name).stat().st_size for name in lengths}
    except (OSError, ValueError, LookupError, UserError):
        return None
    expected = {name: length * tokenizer.dtype.itemsize for name, length in lengths.items()}
    if tokenizer.fingerprint != meta["tokenizer"] or sizes != expected:
        return None
    both = hashlib.sha256((meta["corpus"] + meta["tokenizer"]).encode())
    return TokenStore(folder, tokenizer, both.hexdigest(), lengths)


def _build(corpus: Corpus, kind: str, vocab_size: int, folder: Path) -> None:
    """Write a store beside its place, then move it there whole. The caller holds the lock."""
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        with _progress(corpus) as watch:
            learned_from = ["train"] if kind == "bpe" else list(corpus.splits)
            tokenizer = train_tokenizer(kind, vocab_size, watch("learning tokens", learned_from))
            lengths = {
                name: _write(tokenizer, watch(f"tokenising {name}", [name]), building, name)
                for name in corpus.splits
            }
        meta = {
            "name": corpus.name,
            "corpus": corpus.fingerprint,
            "tokenizer": tokenizer.fingerprint,
            "lengths": lengths,
        }
        (building / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        (building / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(tokenizer: Tokenizer, texts: Iterator[str], folder: Path, split: str) -> int:
    """Write the ids of a split; returns how many."""
    with _ids_file(folder, split).open("wb") as file:
        for ids in tokenizer.encode_stream(texts):
            file.write(ids.tobytes())
        return file.tell() // tokenizer.dtype.itemsize


@contextmanager
def _progress(corpus: Corpus) -> Iterator[Watch]:
    """Gives a function that streams splits of a corpus and, where it takes long, says how far."""
    console = Console(stderr=True)
    bars = Progress(console=console, transient=True, disable=not console.is_interactive)
    due = monotonic() + QUIET_SECONDS

    def watch(doing: str, splits: list[str]) -> Iterator[str]:
        nonlocal due
        bar = bars.add_task(doing, total=sum(corpus.characters[name] for name in splits))
        for text in chain.from_iterable(corpus.splits[name]() for name in splits):
            yield text
            bars.advance(bar, len(text))
            if monotonic() > due:
                due = monotonic() + LINE_SECONDS
                bars.start()
                if bars.disable:
                    task = bars.tasks[bar]
                    left = f", {task.time_remaining:.0f} s left" if task.time_remaining else ""
                    console.print(f"{doing}: {task.percentage:.0f}%{left}")

    try:
        yield watch
    finally:
        bars.stop()
