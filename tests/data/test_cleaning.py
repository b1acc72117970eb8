"""Test that all text is cleaned in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.cleaning import check_unicode, clean
from minitx.errors import UserError

WHITE = ["", " ", "\t", "\r\n", "\x0b", "\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"]


@given(st.sampled_from(WHITE), st.text(st.characters(codec="utf-8")), st.sampled_from(WHITE))
def test_white_space_around_a_text_makes_no_difference(before: str, text: str, after: str) -> None:
    expected = f"a {text}é"
    assert clean(f"{before}{expected}{after}") == expected


@pytest.mark.parametrize("text", WHITE)
def test_an_empty_text_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match=r"^the source is empty$"):
        clean(text, "source")


@pytest.mark.parametrize("bad", ["ab\udcff", "ab\ud83dc"])
def test_half_a_character_is_an_error(bad: str) -> None:
    """A byte of another encoding on the command line, and half of a pair in JSON."""
    for check in (clean, check_unicode):
        with pytest.raises(UserError, match=r"^the label is not Unicode from character 2 on: .*8$"):
            check(bad, "label")
    check_unicode(" \U0001f600\n")
