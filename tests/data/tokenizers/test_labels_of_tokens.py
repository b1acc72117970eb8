"""Test the labels of tokens: no two tokens of a vocabulary look the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.tokenizers.base import label_of
from minitx.data.tokenizers.sequence import (
    KINDS,
    SPECIALS,
    SequenceTokenizer,
    train_sequence_tokenizer,
)
from minitx.data.tokenizers.text import train_tokenizer, word_tokenizer
from minitx.errors import UserError
from minitx.inspection.token_labels import visible

# Emoji whose bytes are split, and texts that look like the labels of bytes or of invisible text.
TEXTS = [
    *["🙂 🙃 🚀 é ‹ « naïve"] * 3,
    *[r"\xf0 \xf0\x9f \\xf0 \x9f", r"\x", "␣ ⏎ ∅ ◌ \u0301 ‹U+00A0› \u00a0 ␛ \x1b \t ⇥"] * 3,
]
TOKENIZERS = {
    **{f"text {kind}": train_tokenizer(kind, 400, TEXTS) for kind in ("char", "byte", "bpe")},
    "text word": word_tokenizer(dict.fromkeys(" ".join(TEXTS).split())),
    **{kind: train_sequence_tokenizer(kind, 420, TEXTS) for kind in KINDS},
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


@every_tokenizer
def test_no_two_tokens_look_the_same(tokenizer):
    labels = tokenizer.spell(range(tokenizer.vocab_size))
    assert len(labels) == tokenizer.vocab_size
    shown = {}
    for label in labels:
        shown.setdefault(visible(label), []).append(label)
    assert not [same for same in shown.values() if len(same) > 1]
    assert "\ufffd" not in shown


@pytest.mark.parametrize("name", ["text byte", "text bpe", "bpe", "unigram"])
def test_parts_of_an_emoji_are_labelled_with_their_bytes(name):
    tokenizer = TOKENIZERS[name]
    shown = ["".join(tokenizer.spell(tokenizer.encode(emoji))) for emoji in ("😀", "😁")]
    assert shown[0] != shown[1]
    for label, last in zip(shown, ("80", "81"), strict=True):
        assert label.strip() == rf"\xf0\x9f\x98\x{last}"


@every_tokenizer
def test_special_tokens_have_their_names(tokenizer):
    if isinstance(tokenizer, SequenceTokenizer):
        labels = tokenizer.spell(range(tokenizer.vocab_size))
        assert labels[: len(SPECIALS)] == list(SPECIALS)
        assert not {*labels[len(SPECIALS) :]} & {*SPECIALS}


@pytest.mark.parametrize(
    ("token", "label"),
    [
        (b"the", "the"),
        (" é".encode(), " é"),
        ("\ufffd".encode(), "\ufffd"),
        (b"\xf0\x9f", r"\xf0\x9f"),
        (b" \x98", r" \x98"),
        ("é".encode() + b"\xe2", r"é\xe2"),
        (rb"\xf0", r"\\xf0"),
        (rb"\n", r"\n"),
        (b"\\\xf0", r"\\\xf0"),
    ],
)
def test_labels_of_bytes(token, label):
    assert label_of(token) == label


PARTS = [b"\\", b"x", b"f0", b"\xf0", b"\x9f", "é".encode(), b" "]


@given(st.lists(st.sampled_from(PARTS), min_size=1), st.lists(st.sampled_from(PARTS), min_size=1))
def test_different_bytes_have_different_labels(one, other):
    one, other = b"".join(one), b"".join(other)
    assert (label_of(one) == label_of(other)) == (one == other)


HIDDEN = st.text(
    st.sampled_from("a ␣\n⏎\t⇥∅◌\u0301‹›U+0A1\u00a1\u00a0\x1b␛\x7f␡\u202e"), min_size=1
)


@given(HIDDEN, HIDDEN)
def test_different_texts_do_not_look_the_same(one, other):
    assert (visible(one) == visible(other)) == (one == other)


def test_a_tokenizer_of_other_bytes_is_refused():
    text = TOKENIZERS["bpe"].to_json().replace('"Ġna"', '"漢na"').replace('"Ġ', '"漢')
    with pytest.raises(UserError, match="not a tokenizer of minitx"):
        SequenceTokenizer.from_json(text)
