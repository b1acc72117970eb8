"""Text with stand-ins for what cannot be seen."""

import unicodedata


def visible(text: str, blanks: str = "") -> str:
    """The text with stand-ins for what cannot be seen, or would change how other text is seen.

    Blanks become ␣, ends of lines ⏎, tabs ⇥, except for those in `blanks`; control characters get
    the pictures that Unicode has of them (␛); what else has no shape, such as the marks that turn
    the direction of writing around, is named (‹U+202E›). An accent without a letter gets a dotted
    circle for one, and nothing at all becomes ∅.

    >>> visible(" the\\n")
    '␣the⏎'
    """
    if not text:
        return "∅"
    shown = "".join(
        c if c in blanks or _joins(text, i) else _stand_in(c) for i, c in enumerate(text)
    )
    return f"◌{shown}" if unicodedata.category(text[0]).startswith("M") else shown


def _joins(text: str, place: int) -> bool:
    """Whether this is a joiner between characters of one token, as in some emoji and scripts."""
    return text[place] in "\u200c\u200d" and 0 < place < len(text) - 1


def _stand_in(character: str) -> str:
    if character in " \n\t\x7f":
        return {" ": "␣", "\n": "⏎", "\t": "⇥", "\x7f": "␡"}[character]
    if character < " ":
        return chr(0x2400 + ord(character))
    if unicodedata.category(character)[0] in "CZ":  # no shape, or a blank of some width
        return f"‹U+{ord(character):04X}›"
    return character
