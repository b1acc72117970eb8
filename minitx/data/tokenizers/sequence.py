"""Text to ids and back where texts stand alone: room for padding, a beginning, an end, unknowns."""

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from minitx.errors import UserError

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")  # the first tokens of every vocabulary
KINDS = ("char", "word", "bpe", "unigram")

_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())  # a printable character for each byte
MIN_SUBWORDS = len(SPECIALS) + len(_BYTES) + 1  # every byte, and one piece


class SequenceTokenizer:
    """A trained tokenizer whose first four tokens are `SPECIALS`.

    `kind` is one of
    - "char": a token a character;
    - "word": a token a word, words being what white space separates, such as phonemes; any
      white space comes back as one blank;
    - "bpe": byte pairs within words (Sennrich et al. 2016), "unigram": pieces of words by a
      unigram model (Kudo 2018). Both are over bytes, know every text and give it back unchanged.

    "char" and "word" encode what they do not know as `UNK`. No text is ever encoded as another of
    the specials, not even "<eos>". The library's own tokenizer within is what is saved.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        first = [inner.id_to_token(i) for i in range(len(SPECIALS))]
        if first != list(SPECIALS):
            raise UserError(f"a tokenizer that begins with {first} in place of {list(SPECIALS)}")
        self._inner = inner
        self.kind = _kind(inner)

    @property
    def vocab_size(self) -> int:
        return self._inner.get_vocab_size()

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(self.vocab_size - 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, of `to_json()`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, nothing put before or behind it."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of `encode` for many texts, faster."""
        encodings = self._inner.encode_batch_fast(texts, add_special_tokens=False)
        # A word may be spelt like a special token: it is a word that nobody has seen.
        return [[max(i, UNK) for i in encoding.ids] for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, specials left out. Bytes that are not UTF-8 become U+FFFD."""
        return self._inner.decode([i for i in ids if i > UNK], skip_special_tokens=False)

    def spell(self, ids: Iterable[int]) -> list[str]:
        """Every id by itself as text, specials by their names: what a picture is labelled with."""
        tokens = [self._inner.id_to_token(i) or "" for i in ids]
        if self.kind in ("char", "word"):
            return tokens
        spelt = decoders.ByteLevel()
        return [token if token in SPECIALS else spelt.decode([token]) for token in tokens]

    def to_json(self) -> str:
        """The whole tokenizer, in the library's own tokenizer.json format."""
        return self._inner.to_str()

    @classmethod
    def from_json(cls, text: str) -> "SequenceTokenizer":
        """The tokenizer that `to_json` wrote. Raises UserError for anything else."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"not a tokenizer of minitx: {error}") from None
        return cls(inner)


def train_sequence_tokenizer(kind: str, vocab_size: int, texts: Iterable[str]) -> SequenceTokenizer:
    """Train a tokenizer of a kind; the same texts in the same order give the same tokenizer.

    `vocab_size` bounds the tokens, specials among them: "word" takes the most frequent words,
    "bpe" and "unigram" need `MIN_SUBWORDS`, and fewer tokens come of few texts. "char" takes
    every character of `texts`.

    Raises UserError for an unknown kind or too small a vocabulary.
    """
    match kind:
        case "char":
            return SequenceTokenizer(_characters(texts))
        case "word":
            return SequenceTokenizer(_words(vocab_size, texts))
        case "bpe" | "unigram":
            if vocab_size < MIN_SUBWORDS:
                raise UserError(
                    f"data.vocab_size={vocab_size} must be at least {MIN_SUBWORDS} for {kind}"
                )
            train = _byte_pairs if kind == "bpe" else _unigram
            return SequenceTokenizer(train(vocab_size, texts))
    raise UserError(f"a tokenizer of kind {kind!r} is unknown: choose {', '.join(KINDS)}")


def _characters(texts: Iterable[str]) -> tokenizers.Tokenizer:
    inner = _lookup(sorted(set().union(*texts)))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return inner


def _words(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    if vocab_size <= len(SPECIALS):
        raise UserError(f"data.vocab_size={vocab_size} must be over {len(SPECIALS)} for word")
    counted = tokenizers.Tokenizer(models.WordLevel())
    counted.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # As many as there may be, and as many as there may be too many: words spelt like the specials.
    trainer = trainers.WordLevelTrainer(vocab_size=vocab_size, show_progress=False)
    counted.train_from_iterator(texts, trainer)
    vocab = counted.get_vocab()
    words = sorted(set(vocab) - set(SPECIALS), key=vocab.__getitem__)
    inner = _lookup(words[: vocab_size - len(SPECIALS)])
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return inner  # without a decoder the library joins words with a blank


def _lookup(tokens: list[str]) -> tokenizers.Tokenizer:
    """A tokenizer that looks tokens up, specials first.

    These, here and below, are plain entries of the vocabulary. The library would find tokens that
    are declared special inside of texts.
    """
    vocab = {token: i for i, token in enumerate([*SPECIALS, *tokens])}
    return tokenizers.Tokenizer(models.WordLevel(vocab, unk_token=SPECIALS[UNK]))


def _byte_pairs(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    inner = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS), initial_alphabet=_BYTES, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    model = json.loads(inner.to_str())["model"]
    tokens = [*SPECIALS, *sorted(model["vocab"], key=model["vocab"].__getitem__)]
    vocab = {token: i for i, token in enumerate(tokens)}
    return _byte_level(models.BPE(vocab, [(first, second) for first, second in model["merges"]]))


def _unigram(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    inner = _byte_level(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size - len(SPECIALS), initial_alphabet=_BYTES, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    scores = _settled(dict(json.loads(inner.to_str())["model"]["vocab"]))
    pieces = sorted(scores, key=lambda piece: (-scores[piece], piece))
    vocab = [(special, 0.0) for special in SPECIALS] + [(p, scores[p]) for p in pieces]
    return _byte_level(models.Unigram(vocab, UNK, False))


def _settled(scores: dict[str, float]) -> dict[str, float]:
    """The trainer's scores without what differs from one process to the next.

    It sums in a random order, which shows after some twelve digits; and it gives the bytes that
    its pieces lack scores in a random order, in steps of 1e-4 from the lowest up.
    """
    lowest = min(scores.values())
    filled = lowest + 1e-4 * (len(_BYTES) + 1)
    lacking = {piece for piece, score in scores.items() if len(piece) == 1 and score < filled}
    return {p: round(lowest if p in lacking else score, 4) for p, score in scores.items()}


def _byte_level(model: models.Model) -> tokenizers.Tokenizer:
    """A tokenizer within words, over bytes.

    A word carries the blank before it, so the first one is given a blank, to be the same token
    there as elsewhere; decoding takes that blank away. No piece crosses from letters to
    other signs, so none can be spelt like a special token.
    """
    inner = tokenizers.Tokenizer(model)
    inner.normalizer = normalizers.Prepend(" ")
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return inner


def _kind(inner: tokenizers.Tokenizer) -> str:
    if isinstance(inner.model, models.WordLevel):
        return "char" if isinstance(inner.pre_tokenizer, pre_tokenizers.Split) else "word"
    return "bpe" if isinstance(inner.model, models.BPE) else "unigram"
