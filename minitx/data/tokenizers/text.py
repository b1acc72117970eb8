"""Text to ids and back: characters, bytes, byte pairs learned from the text, or given words."""

import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from minitx.errors import UserError

MIN_BPE_VOCAB = 257  # every byte, and one pair
LONGEST_WORD = 2**20  # characters; longer ones are cut, to bound memory

# ByteLevel writes a byte as a printable character: the printable ones as themselves, the others,
# in order, as the characters that follow. Sorted, its alphabet is in that very order.
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_PRINTABLE = [ord(character) for character in _ALPHABET if ord(character) < 256]
_BYTES = dict(zip(_ALPHABET, _PRINTABLE + sorted(set(range(256)) - set(_PRINTABLE)), strict=True))

# BPE never joins a word to white space that follows it, so text may be cut there.
_UP_TO_LAST_WORD = re.compile(r"(?s).*\S(?=[ \t\r\n])")
_LINES = re.compile(r"(?<=\S)(?=\n)")


class Tokenizer:
    """A trained tokenizer; every text it can encode comes back from its ids unchanged.

    `kind` is "char" (ids in code point order), "byte" (an id is the byte's value), "bpe"
    (byte-level byte pairs, Sennrich et al. 2016, Radford et al. 2019) or "word" (what white space
    separates, for which a blank comes back). The library's tokenizer within is what is saved, so
    its file can be read without us; numpy encodes characters and bytes, a hundred times faster.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self.kind = _kind(inner)
        vocab = inner.get_vocab()
        self._tokens = [self._spell(token) for token in sorted(vocab, key=vocab.__getitem__)]
        if self.kind == "char":
            points = [ord(token.decode()) for token in self._tokens]
            self._known = set(map(chr, points))
            # Code point -> id; -1 = unknown, as is the last entry, for all that lies beyond.
            self._ids = np.full(max(points) + 2, -1, np.int32)
            self._ids[points] = np.arange(len(points))

    def _spell(self, token: str) -> bytes:
        if self.kind == "word":
            return f" {token}".encode()  # the blank that parts it from the word before
        return token.encode() if self.kind == "char" else bytes(map(_BYTES.__getitem__, token))

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(self.vocab_size - 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, of `to_json()`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text.

        Raises UserError for characters or words that a char or word tokenizer does not know, and
        where such words are all blanks.
        """
        return self.encode_array(text).tolist()

    def encode_array(self, text: str) -> np.ndarray:
        """The ids of `encode` as an array (tokens,) of `dtype`."""
        if self.kind == "char":
            return self._encode_characters(text)
        if self.kind == "byte":
            return np.frombuffer(text.encode(), np.uint8)
        if self.kind == "word":
            return self._encode_words(text)
        encodings = self._inner.encode_batch_fast(_LINES.split(text))
        return np.fromiter(chain.from_iterable(line.ids for line in encodings), self.dtype)

    def encode_stream(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Ids of a text that comes in pieces, as `encode` would give for the whole.

        Yields arrays of `dtype`. Words over `LONGEST_WORD` may be cut, and still come back whole.
        """
        return map(self.encode_array, _at_word_ends(texts))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Bytes that are not UTF-8 become U+FFFD."""
        text = "".join(self.decode_stream(ids))
        return text[1:] if self.kind == "word" else text

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """The text of ids as they come; a character is given once its last byte is there.

        Words come with the blank before them, as they go on from others.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in ids:
            if text := decoder.decode(self._tokens[token]):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    def byte_lengths(self) -> np.ndarray:
        """How many UTF-8 bytes each token stands for, int64 (vocab,)."""
        return np.array([len(token) for token in self._tokens], np.int64)

    def unknown_characters(self, text: str) -> list[str]:
        """The characters of a text that cannot be encoded, sorted; none but for kind "char"."""
        return sorted(set(text) - self._known) if self.kind == "char" else []

    def to_json(self) -> str:
        """The whole tokenizer, in the library's own tokenizer.json format."""
        return self._inner.to_str()

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """The tokenizer that `to_json` wrote. Raises UserError for anything else."""
        try:
            return cls(tokenizers.Tokenizer.from_str(text))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"not a tokenizer of minitx: {error}") from None

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
    """A tokenizer of these words, none of them twice, whose ids are in their order."""
    vocab = {word: i for i, word in enumerate(words)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token=""))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(inner)  # without a decoder the library joins words with a blank


def train_tokenizer(kind: str, vocab_size: int, texts: Iterable[str]) -> Tokenizer:
    """Train a tokenizer of a kind on the pieces of a text; deterministic in every process.

    `vocab_size` bounds the tokens of "bpe", at least `MIN_BPE_VOCAB`; fewer come of a short text.
    "char" has one for each character of `texts`, "byte" has 256 and reads nothing.

    The caller chooses what is learned from: byte pairs are learned from train only, as everything
    that can be fitted; an alphabet is not fitted but lists what can be written, so characters
    are taken from all splits, else held-out text could not be encoded.

    Raises UserError for an unknown kind or too small a vocabulary.
    """
    match kind:
        case "char":
            return Tokenizer(_characters(texts))
        case "byte":
            return Tokenizer(_byte_level(models.BPE(_BYTES, []), use_regex=False))
        case "bpe":
            return Tokenizer(_byte_pairs(vocab_size, texts))
    raise UserError(f"data.tokenizer={kind} is unknown: choose char, byte or bpe")


def _characters(texts: Iterable[str]) -> tokenizers.Tokenizer:
    alphabet: set[str] = set()
    for text in texts:
        alphabet.update(text)
    vocab = {character: i for i, character in enumerate(sorted(alphabet))}
    inner = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token=""))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return inner


def _byte_pairs(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    if vocab_size < MIN_BPE_VOCAB:
        raise UserError(f"data.vocab_size={vocab_size} must be at least {MIN_BPE_VOCAB} for bpe")
    inner = _byte_level(models.BPE(), use_regex=True)
    # Lines, because the library holds a few hundred pieces at a time.
    lines = (line for text in _at_word_ends(texts) for line in _LINES.split(text))
    inner.train_from_iterator(
        lines,
        trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=_ALPHABET, show_progress=False),
    )
    return inner


def _byte_level(model: models.BPE, use_regex: bool) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    inner.decoder = decoders.ByteLevel()
    return inner


def _kind(inner: tokenizers.Tokenizer) -> str:
    if isinstance(inner.model, models.WordLevel):
        return "char" if isinstance(inner.pre_tokenizer, pre_tokenizers.Split) else "word"
    # Only byte pairs are kept within words.
    return "bpe" if inner.pre_tokenizer.use_regex else "byte"


def _at_word_ends(texts: Iterable[str]) -> Iterator[str]:
    """The same text in other pieces, each but the last ending with a word."""
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
