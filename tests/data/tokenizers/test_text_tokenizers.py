"""Test the tokenizers of texts."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.tokenizers import text as module
from minitx.data.tokenizers.text import Tokenizer, train_tokenizer
from minitx.errors import UserError

SPEECH = "To be, or not to be: that is the question:\nWhether 'tis nobler in the mind to suffer\n"
# Texts that BPE could cut wrongly: runs of white space of many kinds, and what it may attach to.
SPACED = st.text(st.sampled_from("aé1's.! \n\t\r\x1c\x85\xa0\u2003"), max_size=60)
ANY = st.text() | SPACED

BYTE = train_tokenizer("byte", 0, [])
BPE = train_tokenizer("bpe", 300, [SPEECH * 5, "\n\n \n\n", "  \n \n\n"])


WORDS = ["to", "be", "or"]


def char_tokenizer(text: str) -> Tokenizer:
    return train_tokenizer("char", 0, [text])


@given(text=ANY)
@pytest.mark.parametrize("tokenizer", [BYTE, BPE], ids=["byte", "bpe"])
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.byte_lengths()[ids].sum() == len(text.encode())
    assert tokenizer.unknown_characters(text) == []


@given(text=st.text(min_size=1))
def test_characters_come_back(text: str) -> None:
    tokenizer = char_tokenizer(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) == len(text)
    assert tokenizer.byte_lengths()[ids].sum() == len(text.encode())


@given(text=st.text(min_size=1) | SPACED.filter(len))
def test_our_ids_and_text_are_those_of_the_library(text: str) -> None:
    for tokenizer in (char_tokenizer(text), BYTE, BPE):
        library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
        ids = library.encode(text).ids
        assert tokenizer.encode(text) == ids
        assert tokenizer.encode_array(text).dtype == tokenizer.dtype
        assert library.decode(ids) == tokenizer.decode(ids)


@given(pieces=st.lists(SPACED, max_size=8))
def test_pieces_encode_as_the_whole(pieces: list[str]) -> None:
    for tokenizer in (char_tokenizer("".join(pieces) + "a"), BYTE, BPE):
        ids = np.concatenate(list(tokenizer.encode_stream(pieces)))
        assert ids.tolist() == tokenizer.encode("".join(pieces))


def test_a_word_without_end_is_cut() -> None:
    pieces = list(module._at_word_ends(["x" * 2**19] * 5))
    assert "".join(pieces) == "x" * 2**19 * 5
    assert max(map(len, pieces)) <= 2**21


def test_bytes_are_their_own_ids() -> None:
    assert BYTE.encode("Aé\n") == [65, 0xC3, 0xA9, 10]
    assert BYTE.vocab_size == 256
    assert BYTE.dtype == np.uint8


def test_characters_are_numbered_in_code_point_order() -> None:
    tokenizer = char_tokenizer("b\na—é")
    assert tokenizer.encode("\nabé—") == [0, 1, 2, 3, 4]
    assert tokenizer.byte_lengths().tolist() == [1, 1, 1, 2, 3]


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1), space=st.sampled_from([" ", "\n", "\t "])
)
def test_words_come_back_with_a_blank_between(words: list[str], space: str) -> None:
    tokenizer = module.word_tokenizer(WORDS)
    ids = tokenizer.encode(f"{space}{space.join(words)}{space}")
    assert ids == [WORDS.index(word) for word in words]
    assert tokenizer.decode(ids) == " ".join(words)
    assert "".join(tokenizer.decode_stream(ids)) == "".join(f" {word}" for word in words)
    again = Tokenizer.from_json(tokenizer.to_json())
    assert (again.kind, again.vocab_size, again.encode(" ".join(words))) == ("word", 3, ids)
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert library.encode(" ".join(words)).ids == ids
    assert library.decode(ids) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "named"), [("to bé to be", "'bé':"), ("  ", "without words"), ("", "without words")]
)
def test_an_unknown_word_is_named(text: str, named: str) -> None:
    with pytest.raises(UserError, match=r"does not know .* 3 words") as error:
        module.word_tokenizer(WORDS).encode(text)
    assert named in str(error.value)


@pytest.mark.parametrize("unknown", ["c", "\U0010ffff", "\0"])
def test_an_unknown_character_is_named(unknown: str) -> None:
    tokenizer = char_tokenizer("ab")
    assert tokenizer.unknown_characters(f"a{unknown}b") == [unknown]
    with pytest.raises(UserError, match=r"does not know .*2 characters") as error:
        tokenizer.encode(f"a{unknown}b")
    assert repr(unknown) in str(error.value)


@given(data=st.binary())
def test_a_stream_decodes_bytes_as_the_whole(data: bytes) -> None:
    assert "".join(BYTE.decode_stream(data)) == data.decode("utf-8", "replace")


def test_a_stream_waits_for_a_whole_character() -> None:
    stream = BYTE.decode_stream(iter("hé—".encode()))
    assert list(stream) == ["h", "é", "—"]


def test_bpe_learns_pairs() -> None:
    assert BPE.kind == "bpe"
    assert 256 < BPE.vocab_size <= 300
    assert len(BPE.encode(SPEECH)) < 0.8 * len(SPEECH)


def test_bpe_is_the_same_in_every_process_and_wherever_its_text_is_cut() -> None:
    code = (
        "import sys; from minitx.data.tokenizers.text import train_tokenizer;"
        "print(train_tokenizer('bpe', 300, sys.argv[1:]).fingerprint)"
    )
    expected = train_tokenizer("bpe", 300, [SPEECH]).fingerprint
    pieces = [SPEECH[:10], SPEECH[10:50], SPEECH[50:]]
    command = [sys.executable, "-c", code, *pieces]
    assert subprocess.check_output(command, text=True).strip() == expected


def test_a_tokenizer_survives_saving_and_pickling() -> None:
    for tokenizer in (char_tokenizer(SPEECH), BYTE, BPE):
        for copy in (
            Tokenizer.from_json(tokenizer.to_json()),
            pickle.loads(pickle.dumps(tokenizer)),
        ):
            assert copy.kind == tokenizer.kind
            assert copy.vocab_size == tokenizer.vocab_size
            assert copy.fingerprint == tokenizer.fingerprint
            assert copy.encode(SPEECH) == tokenizer.encode(SPEECH)


def test_tokenizers_differ_in_their_fingerprint() -> None:
    made = [BYTE, BPE, char_tokenizer("ab"), char_tokenizer("abc")]
    assert len({tokenizer.fingerprint for tokenizer in made}) == 4


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": {}}'])
def test_another_file_is_refused_as_a_tokenizer(text: str) -> None:
    with pytest.raises(UserError, match="not a tokenizer"):
        Tokenizer.from_json(text)


def test_bad_choices_are_errors() -> None:
    with pytest.raises(UserError, match=r"data\.tokenizer=word .*char, byte or bpe"):
        train_tokenizer("word", 300, [])
    with pytest.raises(UserError, match=r"data\.vocab_size=256 must be at least 257"):
        train_tokenizer("bpe", 256, [])
