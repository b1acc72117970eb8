"""Test the lengths of padded sequences."""

import torch
from references import real_tokens

from minitx.nn import lengths
from minitx.nn.lengths import by_length, keep_on_host
from minitx.nn.recurrent import Recurrence


def test_rows_are_sorted_from_the_longest_to_the_shortest_and_back():
    padding = real_tokens([2, 5, 0, 3], 6)
    lengths, order, inverse = by_length(padding)
    assert lengths.tolist() == [5, 3, 2, 0]
    assert order.tolist() == [1, 3, 0, 2]
    assert torch.equal(padding[order][inverse], padding)


def test_a_mask_is_read_once():
    padding = real_tokens([2, 5], 6)
    assert by_length(padding) is by_length(padding)
    assert by_length(padding.clone()) is not by_length(padding)


def test_what_is_kept_on_the_host_is_not_read_back():
    """The meta device has no numbers that could be read."""
    padding = real_tokens([2, 5], 6)
    there = padding.to("meta")
    keep_on_host(there, padding)
    found = by_length(there)
    assert found.lengths.tolist() == [5, 2]
    assert found.order.device == found.inverse.device == there.device


def test_a_mask_is_forgotten_with_its_batch():
    before = len(lengths._on_host), len(lengths._by_length)
    padding = real_tokens([2, 5], 6)
    for there in (padding, padding.to("meta")):
        keep_on_host(there, padding)
        by_length(there)
    del padding, there
    assert (len(lengths._on_host), len(lengths._by_length)) == before


def test_a_mask_may_be_met_in_inference_first():
    layer, x, padding = Recurrence(4, "gru"), torch.randn(2, 6, 4), real_tokens([2, 5], 6)
    with torch.inference_mode():
        expected, _ = layer(x, padding)
    y, _ = layer(x, padding)
    y.sum().backward()
    assert torch.equal(y, expected)
