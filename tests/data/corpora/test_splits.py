"""Test the splits of a corpus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.corpora.splits import SPLITS, position, split_of

KEYS = [f"key {n}" for n in range(20_000)]


@pytest.mark.parametrize(("val", "test"), [(0.05, 0.05), (0.1, 0.0), (0.2, 0.4)])
def test_each_split_has_its_share(val: float, test: float) -> None:
    splits = [split_of(key, val, test) for key in KEYS]
    shares = [splits.count(name) / len(KEYS) for name in SPLITS]
    assert shares == pytest.approx([1 - val - test, val, test], abs=0.01)


@given(key=st.text(), small=st.floats(0.01, 0.24), more=st.floats(0, 0.25))
def test_what_a_small_share_holds_out_a_larger_one_does(
    key: str, small: float, more: float
) -> None:
    split = split_of(key, small, small)
    if split != "train":
        assert split_of(key, small + more, small + more) == split


def test_the_hash_never_changes() -> None:
    # SHA-256("abc") begins with ba7816bf 8f01 (FIPS 180-4, example).
    assert position("abc") == 0xBA7816BF8F01 / 2**48
