"""What both kinds of tokenizers share: a tokenizer of the library `tokenizers`, and its file."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from minitx.errors import UserError, short_reason

LONGEST_LEARNED = 1024  # bytes of a word; training cuts longer words

# ByteLevel writes each byte as a printable character. A printable byte is written as itself. The
# other bytes, in order, are written as the characters that follow. Sorting the alphabet gives this
# order.
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_PRINTABLE = [ord(character) for character in ALPHABET if ord(character) < 256]
BYTES = dict(zip(ALPHABET, _PRINTABLE + sorted(set(range(256)) - set(_PRINTABLE)), strict=True))

_LOOKS_LIKE_A_BYTE = re.compile(rb"\\x[0-9a-f]{2}")


def bytes_of(token: str) -> bytes:
    """Return the bytes that a token of a byte-level tokenizer stands for."""
    return bytes(map(BYTES.__getitem__, token))


def label_of(token: bytes) -> str:
    r"""Return the text of a token, as a label. Different tokens have different labels.

    Bytes that are part of a character only are written as \xf0. If a token has such bytes, or has
    these letters as text, its backslashes are doubled.
    """
    try:
        text = token.decode()
    except UnicodeDecodeError:
        text = ""
    if text and not _LOOKS_LIKE_A_BYTE.search(token):
        return text
    return token.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


class SavedTokenizer(ABC):
    """A trained tokenizer of the library. Its file can be read without minitx."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner

    @property
    def vocab_size(self) -> int:
        return self._inner.get_vocab_size()

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(self.vocab_size - 1)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of `to_json()`, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the whole tokenizer in the library's tokenizer.json format."""
        return self._inner.to_str()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the tokenizer that `to_json` wrote. Raises UserError for any other text.

        The library can do more than minitx uses, such as slow regular expressions, replacements
        that multiply the text, and padding to any length. No text of a stranger may ask for them.
        """
        try:
            inner = tokenizers.Tokenizer.from_str(text)
            # First of all: the library takes as long to write a tokenizer as its highest id says.
            if set(inner.get_vocab().values()) != set(range(inner.get_vocab_size())):
                raise UserError("not a tokenizer of minitx: its ids do not count from 0")
            if _parts(inner) not in map(_parts, cls.kinds()):
                raise UserError("not a tokenizer of minitx: it has parts that minitx does not use")
            return cls(inner)
        except UserError:
            raise
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"not a tokenizer of minitx: {short_reason(error)}") from None

    @staticmethod
    @abstractmethod
    def kinds() -> Sequence[tokenizers.Tokenizer]:
        """Return a tokenizer of each kind, which has learned nothing."""


def _parts(inner: tokenizers.Tokenizer) -> dict[str, Any]:
    """Return all of a tokenizer but what it has learned."""
    parts: dict[str, Any] = json.loads(inner.to_str())
    model = parts["model"]
    return parts | {"model": (model["type"], model.get("dropout"))}


def learn_pieces(
    inner: tokenizers.Tokenizer, trainer: trainers.Trainer, texts: Iterable[str]
) -> None:
    """Train a byte-level tokenizer. It learns pieces from words of up to `LONGEST_LEARNED` bytes.

    The time that a word takes grows with the square of its length, so longer words are cut
    meanwhile. The trained tokenizer does not cut them: encoding takes time in proportion.
    """
    words = inner.pre_tokenizer
    cut = pre_tokenizers.FixedLength(LONGEST_LEARNED)
    inner.pre_tokenizer = pre_tokenizers.Sequence([words, cut])
    inner.train_from_iterator(texts, trainer)
    inner.pre_tokenizer = words


def character_lookup(vocab: Mapping[str, int], unknown: str) -> tokenizers.Tokenizer:
    """Return a tokenizer with one token for each character."""
    inner = tokenizers.Tokenizer(models.WordLevel(dict(vocab), unk_token=unknown))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return inner


def word_lookup(vocab: Mapping[str, int], unknown: str) -> tokenizers.Tokenizer:
    """Return a tokenizer with one token for each word, as separated by white space."""
    inner = tokenizers.Tokenizer(models.WordLevel(dict(vocab), unk_token=unknown))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return inner  # without a decoder, the library joins words with a space


def looks_up(inner: tokenizers.Tokenizer) -> str | None:
    """Return "char" or "word" for a tokenizer of the two functions above, else None."""
    if not isinstance(inner.model, models.WordLevel):
        return None
    return "char" if isinstance(inner.pre_tokenizer, pre_tokenizers.Split) else "word"
