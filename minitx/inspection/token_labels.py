"""Text in which invisible characters are replaced by visible ones."""

import re
import unicodedata

# Characters that would look like a stand-in for another one.
_TAKEN = re.compile(r"[␣⏎⇥␡\u2400-\u241f]|^∅\Z|^◌|‹(?=U\+)")


def visible(text: str, blanks: str = "") -> str:
    """Return the text with every invisible character replaced by a visible one.

    Spaces become ␣, line ends ⏎ and tabs ⇥, except for the characters in `blanks`. Control
    characters become their Unicode pictures (␛). Other characters without a shape are named
    (‹U+202E›), among them those that change the writing direction, and so are characters that look
    like such a replacement. An accent without a letter gets a dotted circle, and the empty text
    becomes ∅.

    >>> visible(" the\\n")
    '␣the⏎'
    """
    if not text:
        return "∅"
    taken = {match.start() for match in _TAKEN.finditer(text)}
    shown = "".join(
        named(c) if i in taken else c if c in blanks or _joins(text, i) else _stand_in(c)
        for i, c in enumerate(text)
    )
    return f"◌{shown}" if unicodedata.category(text[0]).startswith("M") else shown


def named(character: str) -> str:
    """Return the code point of a character: ‹U+202E›."""
    return f"‹U+{ord(character):04X}›"


def _joins(text: str, place: int) -> bool:
    """Return whether a joiner stands between characters, as in some emoji and scripts."""
    return text[place] in "\u200c\u200d" and 0 < place < len(text) - 1


def _stand_in(character: str) -> str:
    if character in " \n\t\x7f":
        return {" ": "␣", "\n": "⏎", "\t": "⇥", "\x7f": "␡"}[character]
    if character < " ":
        return chr(0x2400 + ord(character))
    if unicodedata.category(character)[0] in "CZ":  # no shape, or a space of some width
        return named(character)
    return character
