"""Texts that nobody expects: any code points, in any number up to 100,000."""

import math
import random

LONGEST = 100_000
SYNTAX = "${}[]()<>=,:;'\"\\/|&*?!#%~`@^-+ \t"
SPECIAL = (
    "<eos>",
    "<pad>",
    "<unk>",
    "[UNK]",
    "${seed}",
    "${oc.env:HOME}",
    "null",
    "\\n",
    "--- step 1",
)
LINES = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u3164\u2800\u180e\U000e0041"
SPACES = " \t\u00a0\u1680\u2003\u3000"
ESCAPES = ("\x1b[2J", "\x1b]0;owned\x07", "\x1b[31m", "\x9b1m", "\r", "\x08" * 9, "\x07")
EMOJI = ("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f")


def _any(draw):
    return chr(draw.randrange(0x110000))


def _surrogate(draw):
    return chr(draw.randrange(0xD800, 0xE000))


def _undecodable(draw):
    return chr(draw.randrange(0xDC80, 0xDD00))  # a byte of a command line that is not UTF-8


def _plain(draw):
    return draw.choice(["the king ", "of men ", "apple", "1 7 ", "e", " "])


KINDS = {
    "any": _any,
    "surrogates": _surrogate,
    "undecodable": _undecodable,
    "NUL": lambda draw: draw.choice(["\0", "a"]),
    "controls": lambda draw: chr(draw.randrange(32)),
    "escapes": lambda draw: draw.choice(ESCAPES),
    "lines": lambda draw: draw.choice(LINES) + _plain(draw),
    "right to left": lambda draw: draw.choice([chr(draw.randrange(0x590, 0x700)), *BIDI]),
    "combining": lambda draw: chr(draw.randrange(0x300, 0x370)),
    "invisible": lambda draw: draw.choice(INVISIBLE),
    "spaces": lambda draw: draw.choice(SPACES),
    "wide": lambda draw: chr(draw.randrange(0x4E00, 0x9FFF)),
    "emoji": lambda draw: draw.choice(EMOJI),
    "syntax": lambda draw: draw.choice(SYNTAX),
    "special": lambda draw: draw.choice(SPECIAL),
    "markup": lambda draw: draw.choice(
        ["[old]", "[/b]", "</script>", "<b>", "]]>", "&lt;", "{{1}}"]
    ),
    "plain": _plain,
}


def hostile(seed):
    """Return a text of one kind, or a mixture of kinds, with 0 to `LONGEST` characters."""
    draw = random.Random(seed)
    length = min(LONGEST, int(math.exp(draw.uniform(0, math.log(LONGEST + 1)))) - 1)
    if draw.random() < 0.6:  # as long as a model reads
        length = min(length, draw.randint(0, 20))
    name = draw.choice([*KINDS, "mixture", "repeated"])
    if name == "repeated":
        return (_any(draw) * length)[:length]
    kinds = list(KINDS.values()) if name == "mixture" else [KINDS[name]]
    pieces = [draw.choice(kinds)(draw) for _ in range(length)]  # each has a character or more
    return "".join(pieces)[:length]
