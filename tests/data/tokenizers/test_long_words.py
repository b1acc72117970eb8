"""Test that very long words are learned from in time proportional to their length."""

import json
import random

import pytest

from minitx.data.tokenizers import base
from minitx.data.tokenizers.sequence import train_sequence_tokenizer
from minitx.data.tokenizers.text import train_tokenizer

DNA = "".join(random.Random(0).choices("ACGT", k=50_000))
# Words of every kind that the library keeps together: letters, figures, signs, white space.
LONG_WORDS = {
    "letters": DNA,
    "one letter": "a" * 20_000,
    "figures": "0123456789" * 2_000,
    "signs": "=" * 20_000,
    "blanks": " " * 20_000 + "x",
    "line ends": "x" + "\n" * 20_000,
    "three bytes": "漢字" * 4_000,
    "four bytes": "🙂" * 4_000,
    "accents": "e" + "\u0301" * 10_000,
}
ORDINARY = [
    "To be, or not to be: that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 9,
    "https://example.org/" + "path-to/some?page=" * 40,
    "-" * 1_000,
    "吾輩は猫である。名前はまだ無い。",
]
TRAINERS = {
    "text bpe": lambda texts: train_tokenizer("bpe", 300, texts),
    "bpe": lambda texts: train_sequence_tokenizer("bpe", 300, texts),
    "unigram": lambda texts: train_sequence_tokenizer("unigram", 300, texts),
}

every_trainer = pytest.mark.parametrize("train", TRAINERS.values(), ids=TRAINERS)


def longest_token(tokenizer):
    """The length in bytes of the longest token. A byte is one character of the library's."""
    vocab = json.loads(tokenizer.to_json())["model"]["vocab"]
    return max(map(len, vocab if isinstance(vocab, dict) else dict(vocab)))


@every_trainer
def test_long_words_are_cut_while_pieces_are_learned(train, monkeypatch):
    monkeypatch.setattr(base, "LONGEST_LEARNED", 12)
    assert longest_token(train(["a" * 5_000])) <= 12


def test_the_work_on_one_word_is_bounded():
    # Byte pairs double at each merge: without a cut, a token would have 16,384 bytes.
    assert longest_token(train_tokenizer("bpe", 300, ["a" * 20_000])) == base.LONGEST_LEARNED


@every_trainer
def test_ordinary_words_give_the_same_tokenizer_as_without_a_cut(train, monkeypatch):
    learned = train(ORDINARY)
    monkeypatch.setattr(base, "LONGEST_LEARNED", 2**30)
    assert learned.to_json() == train(ORDINARY).to_json()


@pytest.mark.parametrize("word", LONG_WORDS.values(), ids=LONG_WORDS)
@every_trainer
def test_long_words_come_back(train, word):
    tokenizer = train(["to be or not to be\n", word])
    for text in (word, f"{word} {word}", f"é{word}\n"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@every_trainer
def test_a_long_word_has_the_same_tokens_everywhere_and_in_a_saved_tokenizer(train):
    tokenizer = train([DNA])
    ids = tokenizer.encode(DNA)
    assert type(tokenizer).from_json(tokenizer.to_json()).encode(DNA) == ids
    assert len(ids) < len(DNA) / 2  # pieces of the word were learned
    # The cut of the training is not part of the tokenizer.
    assert "FixedLength" not in tokenizer.to_json()


def test_a_stream_gives_the_tokens_of_the_whole_text():
    tokenizer = train_tokenizer("bpe", 300, [DNA])
    blocks = [DNA[i : i + 1_000] for i in range(0, len(DNA), 1_000)]
    ids = [i for array in tokenizer.encode_stream(blocks) for i in array.tolist()]
    assert ids == tokenizer.encode(DNA)
