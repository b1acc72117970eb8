"""Test masks against loops."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from references import examples, may_attend

from minitx.nn import masks


@examples
@given(keys=st.integers(1, 9), data=st.data())
def test_causal_and_window_masks_agree_with_loops(keys, data):
    queries = data.draw(st.integers(1, keys), label="queries")
    window = data.draw(st.integers(1, 10), label="window")
    assert torch.equal(masks.causal(queries, keys), may_attend(queries, keys, causal=True)[0])
    assert torch.equal(
        masks.sliding_window(queries, keys, window), may_attend(queries, keys, window=window)[0]
    )


@examples
@given(batch=st.integers(1, 3), queries=st.integers(1, 5), keys=st.integers(5, 8))
def test_masks_combine_with_padding(batch, queries, keys):
    padding = torch.rand(batch, keys) < 0.5
    combined = (
        masks.not_padding(padding)
        & masks.causal(queries, keys)
        & masks.sliding_window(queries, keys, 3)
    )
    assert combined.shape == (batch, 1, queries, keys)
    expected = may_attend(queries, keys, causal=True, window=3, padding=padding)
    assert torch.equal(combined[:, 0], expected)


def test_a_single_new_query_sees_all_the_keys_so_far():
    assert masks.causal(1, 6).all()
