"""Test the tokenizers of sequences."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.tokenizers.sequence import (
    BOS,
    EOS,
    KINDS,
    MIN_SUBWORDS,
    PAD,
    SPECIALS,
    UNK,
    SequenceTokenizer,
    train_sequence_tokenizer,
)
from minitx.data.tokenizers.text import train_tokenizer
from minitx.errors import UserError

TEXTS = [
    "A man in an orange hat starring at something.",
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    "<eos> <pad> <unk> <bos> <eos> <pad> <unk> <bos>",
] * 4
TOKENIZERS = {kind: train_sequence_tokenizer(kind, 320, TEXTS) for kind in KINDS}
SUBWORDS = [TOKENIZERS["bpe"], TOKENIZERS["unigram"]]

every_kind = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
ANY = st.text() | st.text(st.sampled_from("aé1's.<>eopadsunkb \n\t\r\x1c\xa0\u2003漢"), max_size=60)


@every_kind
def test_specials_come_first(tokenizer: SequenceTokenizer) -> None:
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert tokenizer.spell(range(4)) == list(SPECIALS)


@every_kind
def test_training_text_comes_back(tokenizer: SequenceTokenizer) -> None:
    for text in TEXTS[:2]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert UNK not in tokenizer.encode(text)


@given(text=ANY)
@pytest.mark.parametrize("tokenizer", SUBWORDS, ids=["bpe", "unigram"])
def test_subwords_know_every_text(tokenizer: SequenceTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert min(ids, default=4) > UNK


@given(text=ANY)
@every_kind
def test_no_text_is_encoded_as_padding_beginning_or_end(
    tokenizer: SequenceTokenizer, text: str
) -> None:
    for written in (text, f"{text} <eos> {text}<pad>"):
        ids = tokenizer.encode(written)
        assert not {PAD, BOS, EOS} & set(ids)
        assert max(ids, default=0) < tokenizer.vocab_size


@given(texts=st.lists(ANY, max_size=5))
@every_kind
def test_many_texts_are_encoded_as_each(tokenizer: SequenceTokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


@given(text=ANY)
def test_characters_are_looked_up_one_by_one(text: str) -> None:
    tokenizer = TOKENIZERS["char"]
    known = set("".join(TEXTS))
    ids = tokenizer.encode(text)
    assert [i == UNK for i in ids] == [character not in known for character in text]
    assert tokenizer.decode(ids) == "".join(c for c in text if c in known)


def test_phonemes_are_words() -> None:
    tokenizer = train_sequence_tokenizer("word", 100, ["R EH D", "R IY D"])
    assert tokenizer.vocab_size == 4 + 4
    assert tokenizer.decode(tokenizer.encode(" R  IY\tD\n")) == "R IY D"
    assert tokenizer.encode("R X D")[1] == UNK


def test_the_most_frequent_words_are_kept() -> None:
    texts = ["a b b c c c d", "<eos> <eos> <eos> <eos> b c"]
    tokenizer = train_sequence_tokenizer("word", 7, texts)
    assert tokenizer.spell(range(7)) == [*SPECIALS, "c", "b", "a"]
    assert tokenizer.vocab_size == 7
    assert tokenizer.encode("c b <eos> d") == [4, 5, UNK, UNK]


@every_kind
def test_specials_are_left_out_of_text(tokenizer: SequenceTokenizer) -> None:
    ids = tokenizer.encode("A man in an orange hat")
    assert tokenizer.decode([BOS, *ids, UNK, EOS, PAD, PAD]) == tokenizer.decode(ids)
    assert tokenizer.decode([BOS, EOS]) == ""


def test_the_first_word_is_spelt_like_any_other() -> None:
    for tokenizer in SUBWORDS:
        assert tokenizer.encode("Hut Hut")[: len(tokenizer.encode("Hut"))] == tokenizer.encode(
            "Hut"
        )
        assert tokenizer.encode("Hut") * 2 == tokenizer.encode("Hut Hut")


def test_pieces_are_named_as_text() -> None:
    tokenizer = TOKENIZERS["bpe"]
    ids = tokenizer.encode("an orange")
    assert "".join(tokenizer.spell([BOS, *ids])) == "<bos> an orange"


@every_kind
def test_a_tokenizer_is_saved_whole(tokenizer: SequenceTokenizer) -> None:
    again = SequenceTokenizer.from_json(tokenizer.to_json())
    assert again.kind == tokenizer.kind
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint


@given(text=ANY)
@every_kind
def test_the_library_alone_reads_the_file(tokenizer: SequenceTokenizer, text: str) -> None:
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == library.decode([i for i in ids if i != UNK])
    if not set(text.split()) & set(SPECIALS):
        assert library.encode(text).ids == ids


@every_kind
def test_ids_fit_the_type(tokenizer: SequenceTokenizer) -> None:
    assert np.iinfo(tokenizer.dtype).max >= tokenizer.vocab_size - 1
    assert tokenizer.dtype == (np.uint8 if tokenizer.vocab_size <= 256 else np.uint16)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_vocabulary_has_room_for_all_bytes(kind: str) -> None:
    assert train_sequence_tokenizer(kind, MIN_SUBWORDS, TEXTS).vocab_size <= MIN_SUBWORDS
    with pytest.raises(UserError, match=rf"vocab_size=260 must be at least 261 for {kind}"):
        train_sequence_tokenizer(kind, MIN_SUBWORDS - 1, TEXTS)


def test_other_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="vocab_size=4 must be over 4 for word"):
        train_sequence_tokenizer("word", 4, TEXTS)
    with pytest.raises(UserError, match="'byte' is unknown: choose char, word, bpe, unigram"):
        train_sequence_tokenizer("byte", 300, TEXTS)
    with pytest.raises(UserError, match="not a tokenizer of minitx"):
        SequenceTokenizer.from_json("{}")
    with pytest.raises(UserError, match="in place of"):
        SequenceTokenizer.from_json(train_tokenizer("char", 0, ["a text"]).to_json())


TRAINED = """
import random
from minitx.data.tokenizers.sequence import KINDS, train_sequence_tokenizer

draw = random.Random(0)
words = ["".join(draw.choices("abcdeéü", k=draw.randint(1, 9))) for _ in range(400)]
texts = [" ".join(draw.choices(words, k=9)) for _ in range(500)]
for kind in KINDS:
    tokenizer = train_sequence_tokenizer(kind, 600, texts)
    print(kind, tokenizer.vocab_size, tokenizer.fingerprint)
"""


def test_training_is_the_same_in_every_process() -> None:
    """The library's own unigram trainer is not: its file differs each time."""
    command = [sys.executable, "-c", TRAINED]
    outputs = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(3)}
    assert len(outputs) == 1
    assert b"unigram 600 " in outputs.pop()
