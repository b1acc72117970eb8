"""Sentences and lines in the tokens of a text, so that a page can show the lines between them."""

import re
from collections.abc import Sequence

# The end of a line or of a sentence, or a separator of texts, at the end of a token's label.
_END = re.compile(r"(⏎|[.!?…。！？][\"'”’)\]␣]*|\[SEP\]|</s>)\Z")


def segment_starts(labels: Sequence[str]) -> list[int]:
    """Return the position of the first token of every segment.

    Labels are as `visible` returns them. A segment ends after a sentence, a line or a separator,
    and a run of such tokens ends only one.

    >>> segment_starts(["Speak", ".", "⏎", "We", "are"])
    [0, 3]
    """
    ends = [bool(_END.search(label)) for label in labels]
    return [0] + [
        i for i in range(1, len(labels)) if ends[i - 1] and not _continues(ends, labels, i)
    ]


def _continues(ends: Sequence[bool], labels: Sequence[str], place: int) -> bool:
    """Return whether the token at a place still belongs to the end of the segment before it."""
    return ends[place] or (labels[place] == "␣" and any(ends[place + 1 : place + 2]))
