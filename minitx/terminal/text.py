"""Print messages as text: whatever they quote, a terminal only shows it."""

import sys
import unicodedata
from typing import TextIO

# A terminal obeys or hides the characters of these categories (Unicode 16, table 4-4), or lets them
# change the direction of others, instead of drawing them: controls, formats, surrogates, separators
# of lines and of paragraphs.
NOT_DRAWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # between letters or emoji, they choose a shape


def printable(text: str, kept: str = "\n\t") -> str:
    r"""Return the text with an escape, such as \x1b, for every character that is not drawn.

    Joiners and the characters in `kept` stay.

    >>> printable("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if unicodedata.category(c) in NOT_DRAWN and c not in JOINERS and c not in kept
        else c
        for c in text
    )


def say(line: str) -> None:
    """Print a message of one line on standard output."""
    print(printable(line, kept=""))


def note(line: str, file: TextIO | None = None) -> None:
    """Print a message of one line at once, on standard error or to `file`."""
    print(printable(line, kept=""), file=file or sys.stderr, flush=True)
