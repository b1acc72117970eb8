"""Tokenizers of separate texts, with tokens for padding, beginning, end and unknown words."""

import json
from collections.abc import Iterable, Sequence

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from minitx.data.cleaning import check_unicode
from minitx.data.tokenizers.base import (
    ALPHABET,
    SavedTokenizer,
    bytes_of,
    character_lookup,
    label_of,
    learn_pieces,
    looks_up,
    word_lookup,
)
from minitx.errors import UserError

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")  # the first tokens of every vocabulary
KINDS = ("char", "word", "bpe", "unigram")

MIN_SUBWORDS = len(SPECIALS) + len(ALPHABET) + 1  # every byte, and one piece


class SequenceTokenizer(SavedTokenizer):
    """A trained tokenizer whose first four tokens are `SPECIALS`.

    `kind` is one of

    - "char": one token for each character;
    - "word": one token for each word or phoneme. White space is restored as one space;
    - "bpe": byte pairs within words (Sennrich et al. 2016);
    - "unigram": pieces of words by a unigram model (Kudo 2018).

    "bpe" and "unigram" work on bytes, so they encode and restore every text. "char" and "word"
    encode unknown characters and words as `UNK`. No text is encoded as another special token, not
    even "<eos>".
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        first = [inner.id_to_token(i) for i in range(len(SPECIALS))]
        if first != list(SPECIALS):
            raise UserError(f"a tokenizer that begins with {first} in place of {list(SPECIALS)}")
        super().__init__(inner)
        subwords = "bpe" if isinstance(inner.model, models.BPE) else "unigram"
        self.kind = looks_up(inner) or subwords
        tokens = [inner.id_to_token(i) or "" for i in range(self.vocab_size)]
        if self.kind == subwords:
            tokens[len(first) :] = [label_of(bytes_of(token)) for token in tokens[len(first) :]]
        self._labels = tokens

    @staticmethod
    def kinds() -> list[tokenizers.Tokenizer]:
        lookups = [lookup({}, SPECIALS[UNK]) for lookup in (character_lookup, word_lookup)]
        return [*lookups, _byte_level(models.BPE()), _byte_level(models.Unigram())]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without tokens for its beginning and end.

        Raises UserError as `check_unicode`.
        """
        check_unicode(text)
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts. This is faster than `encode`."""
        encodings = self._inner.encode_batch_fast(texts, add_special_tokens=False)
        # A word may be spelt like a special token. It is an unknown word.
        return [[max(i, UNK) for i in encoding.ids] for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids without special tokens. Bytes that are not UTF-8 become U+FFFD."""
        return self._inner.decode([i for i in ids if i > UNK], skip_special_tokens=False)

    def spell(self, ids: Iterable[int]) -> list[str]:
        """Return a label for each id, as for figures. Special tokens have their names.

        No two tokens share a label: see `label_of`.
        """
        return [self._labels[i] for i in ids]


def train_sequence_tokenizer(kind: str, vocab_size: int, texts: Iterable[str]) -> SequenceTokenizer:
    """Train a tokenizer. The same texts in the same order give the same tokenizer.

    `vocab_size` is the maximum number of tokens, including the special ones. Few texts give fewer.
    "word" takes the most frequent words. "bpe" and "unigram" need at least `MIN_SUBWORDS`. "char"
    takes every character of `texts`, whatever `vocab_size` is.

    Raises UserError for an unknown kind, and for a vocabulary that is too small.
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
    return character_lookup(_vocab(sorted(set().union(*texts))), SPECIALS[UNK])


def _words(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    if vocab_size <= len(SPECIALS):
        raise UserError(f"data.vocab_size={vocab_size} must be over {len(SPECIALS)} for word")
    counted = tokenizers.Tokenizer(models.WordLevel())
    counted.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # Words that are spelt like special tokens are dropped below, so train that many more.
    trainer = trainers.WordLevelTrainer(vocab_size=vocab_size, show_progress=False)
    counted.train_from_iterator(texts, trainer)
    vocab = counted.get_vocab()
    words = sorted(set(vocab) - set(SPECIALS), key=vocab.__getitem__)
    return word_lookup(_vocab(words[: vocab_size - len(SPECIALS)]), SPECIALS[UNK])


def _vocab(tokens: list[str]) -> dict[str, int]:
    """Return the ids of tokens, with the special tokens first.

    The special tokens are plain entries of the vocabulary. If they were declared special, the
    library would find them inside of texts.
    """
    return {token: i for i, token in enumerate([*SPECIALS, *tokens])}


def _byte_pairs(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    inner = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS), initial_alphabet=ALPHABET, show_progress=False
    )
    learn_pieces(inner, trainer, texts)
    model = json.loads(inner.to_str())["model"]
    vocab = _vocab(sorted(model["vocab"], key=model["vocab"].__getitem__))
    return _byte_level(models.BPE(vocab, [(first, second) for first, second in model["merges"]]))


def _unigram(vocab_size: int, texts: Iterable[str]) -> tokenizers.Tokenizer:
    inner = _byte_level(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size - len(SPECIALS), initial_alphabet=ALPHABET, show_progress=False
    )
    learn_pieces(inner, trainer, texts)
    scores = _settled(dict(json.loads(inner.to_str())["model"]["vocab"]))
    pieces = sorted(scores, key=lambda piece: (-scores[piece], piece))
    vocab = [(special, 0.0) for special in SPECIALS] + [(p, scores[p]) for p in pieces]
    return _byte_level(models.Unigram(vocab, UNK, False))


def _settled(scores: dict[str, float]) -> dict[str, float]:
    """Return the trainer's scores without what differs between processes.

    The trainer sums in a random order, which changes scores from about the twelfth digit on. It
    also gives scores to the bytes that no piece contains, in a random order and in steps of 1e-4
    from the lowest score.
    """
    lowest = min(scores.values())
    filled = lowest + 1e-4 * (len(ALPHABET) + 1)
    lacking = {piece for piece, score in scores.items() if len(piece) == 1 and score < filled}
    return {p: round(lowest if p in lacking else score, 4) for p, score in scores.items()}


def _byte_level(model: models.Model) -> tokenizers.Tokenizer:
    """Return a tokenizer that works on the bytes of each word.

    A word includes the space before it. The first word gets a space too, so that it has the same
    tokens there as elsewhere. Decoding removes that space. No piece contains both letters and
    other characters, so no piece is spelt like a special token.
    """
    inner = tokenizers.Tokenizer(model)
    inner.normalizer = normalizers.Prepend(" ")
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return inner
