"""Tokenizers of running text: characters, bytes, learned byte pairs, or given words."""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from minitx.data.cleaning import check_unicode
from minitx.data.tokenizers.base import (
    ALPHABET,
    BYTES,
    SavedTokenizer,
    bytes_of,
    character_lookup,
    label_of,
    learn_pieces,
    looks_up,
    word_lookup,
)
from minitx.errors import UserError

MIN_BPE_VOCAB = 257  # every byte, and one pair
LONGEST_WORD = 2**20  # characters; longer words are cut, to bound memory

# BPE never joins a word to the white space after it, so text may be cut there.
_UP_TO_LAST_WORD = re.compile(r"(?s).*\S(?=[ \t\r\n])")
_LINES = re.compile(r"(?<=\S)(?=\n)")


class Tokenizer(SavedTokenizer):
    """A trained tokenizer that restores every text it can encode.

    `kind` is one of

    - "char": one token for each character, in the order of code points;
    - "byte": one token for each byte, whose id is the byte's value;
    - "bpe": byte-level byte pairs (Sennrich et al. 2016, Radford et al. 2019);
    - "word": one token for each word. White space is restored as one space.

    numpy encodes characters and bytes, which is a hundred times faster than the library.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        super().__init__(inner)
        # Only byte pairs are kept within words.
        self.kind = looks_up(inner) or ("bpe" if inner.pre_tokenizer.use_regex else "byte")
        vocab = inner.get_vocab()
        self._tokens = [self._bytes_of(token) for token in sorted(vocab, key=vocab.__getitem__)]
        if self.kind == "char":
            points = [ord(token.decode()) for token in self._tokens]
            self._known = set(map(chr, points))
            # Code point -> id. -1 is unknown, and so are all code points beyond the last entry.
            self._ids = np.full(max(points) + 2, -1, np.int32)
            self._ids[points] = np.arange(len(points))

    @staticmethod
    def kinds() -> list[tokenizers.Tokenizer]:
        bytes_and_pairs = [byte_level(models.BPE(), use_regex) for use_regex in (False, True)]
        return [character_lookup({}, unknown=""), word_lookup({}, unknown=""), *bytes_and_pairs]

    def _bytes_of(self, token: str) -> bytes:
        if self.kind == "word":
            return f" {token}".encode()  # the space that separates it from the word before
        return token.encode() if self.kind == "char" else bytes_of(token)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises UserError for unknown characters ("char") or words ("word"), for a text without words
        ("word"), and as `check_unicode`.
        """
        check_unicode(text)
        return self.encode_array(text).tolist()

    def encode_array(self, text: str) -> np.ndarray:
        """Return the ids of `encode` as an array (tokens,) of `dtype`."""
        if self.kind == "char":
            return self._encode_characters(text)
        if self.kind == "byte":
            return np.frombuffer(text.encode(), np.uint8)
        if self.kind == "word":
            return self._encode_words(text)
        encodings = self._inner.encode_batch_fast(_LINES.split(text))
        return np.fromiter(chain.from_iterable(line.ids for line in encodings), self.dtype)

    def encode_stream(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the ids of a text that comes in pieces, as arrays of `dtype`.

        Together they are the ids of the whole text. A word longer than `LONGEST_WORD` may be cut,
        and is still restored.
        """
        return map(self.encode_array, _at_word_ends(texts))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids. Bytes that are not UTF-8 become U+FFFD."""
        text = "".join(self.decode_stream(ids))
        return text[1:] if self.kind == "word" else text

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of ids as they arrive. A character is complete with its last byte.

        Each word has a space before it, because it continues a text.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in ids:
            if text := decoder.decode(self._tokens[token]):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    def spell(self, ids: Iterable[int]) -> list[str]:
        """Return a label for each id, as for figures: see `label_of`. No two tokens share one."""
        blank = b" " if self.kind == "word" else b""
        return [label_of(self._tokens[i].removeprefix(blank)) for i in ids]

    def byte_lengths(self) -> np.ndarray:
        """Return the number of UTF-8 bytes of each token, int64 (vocab,)."""
        return np.array([len(token) for token in self._tokens], np.int64)

    def unknown_characters(self, text: str) -> list[str]:
        """Return the unknown characters of a text, sorted. Only the kind "char" has any."""
        return sorted(set(text) - self._known) if self.kind == "char" else []

    def _encode_characters(self, text: str) -> np.ndarray:
        ids = self._ids.take(np.frombuffer(text.encode("utf-32-le"), "<u4"), mode="clip")
        if (ids < 0).any():
            unknown = ", ".join(map(repr, self.unknown_characters(text)[:10]))
            raise UserError(
                f"the tokenizer does not know {unknown}: it knows the {self.vocab_size} "
                "characters of its corpus; data.tokenizer=byte or bpe knows all"
            )
        return ids.astype(self.dtype)

    def _encode_words(self, text: str) -> np.ndarray:
        words = text.split()
        ids = [self._inner.token_to_id(word) for word in words]
        if None in ids or not ids:
            unknown = dict.fromkeys(word for word, i in zip(words, ids, strict=True) if i is None)
            shown = ", ".join(map(repr, [*unknown][:10])) or "a text without words"
            raise UserError(
                f"the tokenizer does not know {shown}: it knows {self.vocab_size} words, as in "
                f"{self.decode([1, self.vocab_size - 1, 0])!r}"
            )
        return np.array(ids, self.dtype)


def word_tokenizer(words: Iterable[str]) -> Tokenizer:
    """Return a tokenizer of different words, with ids in their order."""
    return Tokenizer(word_lookup({word: i for i, word in enumerate(words)}, unknown=""))


def train_tokenizer(kind: str, vocab_size: int, texts: Iterable[str]) -> Tokenizer:
    """Train a tokenizer on the pieces of a text. The result is deterministic.

    `vocab_size` is the maximum number of tokens of "bpe", at least `MIN_BPE_VOCAB`. A short text
    gives fewer. "char" has one token for each character of `texts`. "byte" has 256 tokens and reads
    no text.

    Byte pairs are fitted, so train them on the training split only. An alphabet is not fitted, so
    collect characters from all splits. Otherwise held-out text could not be encoded.

    Raises UserError for an unknown kind, and for a vocabulary that is too small.
    """
    match kind:
        case "char":
            return Tokenizer(_characters(texts))
        case "byte":
            return Tokenizer(byte_level(models.BPE(BYTES, []), use_regex=False))
        case "bpe":
            return Tokenizer(_byte_pairs(vocab_size, texts))
    raise UserError(f"data.tokenizer={kind} is unknown: choose char, byte or bpe")


def _characters(texts: Iterable[str]) -> tokenizers.Tokenizer:
    alphabet: set[str] = set()
    for text in texts:
        alphabet.update(text)
    vocab = {character: i for i, character in enumerate(sorted(alphabet))}
    return character_lookup(vocab, unknown="")


def _byte_pairs(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    if vocab_size < MIN_BPE_VOCAB:
        raise UserError(f"data.vocab_size={vocab_size} must be at least {MIN_BPE_VOCAB} for bpe")
    inner = byte_level(models.BPE(), use_regex=True)
    # Lines, because the library keeps a few hundred pieces in memory.
    lines = (line for text in _at_word_ends(texts) for line in _LINES.split(text))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=ALPHABET, show_progress=False
    )
    learn_pieces(inner, trainer, lines)
    return inner


def byte_level(model: models.BPE, use_regex: bool) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    inner.decoder = decoders.ByteLevel()
    return inner


def _at_word_ends(texts: Iterable[str]) -> Iterator[str]:
    """Cut a text into other pieces. Each piece except the last ends with a word."""
    rest = ""
    for text in texts:
        rest += text
        if words := _UP_TO_LAST_WORD.match(rest):
            end = words.end()
        else:
            end = len(rest) if len(rest) > LONGEST_WORD else 0
        yield rest[:end]
        rest = rest[end:]
    yield rest
