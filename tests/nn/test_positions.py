"""Test the encodings of positions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import assert_close, examples

from minitx.nn.positions import ALiBi, Learned, Rotary, Sinusoidal

even = st.integers(1, 8).map(lambda n: 2 * n)


@examples
@given(dim=st.integers(1, 12), time=st.integers(1, 10), past=st.integers(0, 50))
def test_sinusoidal_is_the_papers_formula(dim, time, past):
    """Section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/dim)), and PE(pos, 2i+1) its cosine."""
    table = Sinusoidal(dim, context=60)(torch.zeros(1, time, dim), past)[0]
    for row, feature in [(0, 0), (time - 1, 0), (time - 1, dim - 1), (time // 2, dim // 2)]:
        wave = math.cos if feature % 2 else math.sin
        angle = (past + row) / 10_000 ** (feature // 2 * 2 / dim)
        assert table[row, feature].item() == pytest.approx(wave(angle), abs=1e-6)


@pytest.mark.parametrize("kind", [Sinusoidal, Learned])
def test_added_positions_go_on_where_the_past_ended(kind):
    position = kind(6, context=9)
    x = torch.randn(2, 9, 6)
    pieces = [position(x[:, :4]), position(x[:, 4:], past=4)]
    assert torch.equal(torch.cat(pieces, dim=1), position(x))
    assert not torch.equal(position(x[:, :4]), position(x[:, :4], past=4))


@examples
@given(head_dim=even, time=st.integers(1, 6), past=st.integers(0, 50))
def test_rotary_is_a_product_with_complex_numbers(head_dim, time, past):
    """Equations 12 and 15: pair i turns by position * 10000^(-2i / head_dim)."""
    x = torch.randn(2, 3, time, head_dim)
    position = torch.arange(past, past + time)[:, None]
    angle = position * 10_000 ** (-2 * torch.arange(head_dim // 2) / head_dim)
    pairs = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat([pairs.real, pairs.imag], dim=-1)
    assert_close(Rotary(head_dim, context=60)(x, past), expected)


@examples
@given(head_dim=even, time=st.integers(1, 8), shift=st.integers(0, 50))
def test_rotary_scores_depend_on_the_distance_only(head_dim, time, shift):
    rotary = Rotary(head_dim, context=60)
    q, k = torch.randn(2, 2, 3, time, head_dim)
    assert_close(rotary(q, shift) @ rotary(k, shift).mT, rotary(q) @ rotary(k).mT)
    assert_close(rotary(q, shift).norm(dim=-1), q.norm(dim=-1))


@pytest.mark.parametrize(
    ("heads", "exponents"),
    [
        (1, [8]),
        (4, [2, 4, 6, 8]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        # Not a power of two: those of 8 (of 4), then every other one of 16 (of 8).
        (12, [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5]),
        (6, [2, 4, 6, 8, 1, 3]),
    ],
)
def test_alibi_slopes_are_the_published_ones(heads, exponents):
    assert ALiBi(heads).slopes.tolist() == pytest.approx([2.0**-e for e in exponents])


@examples
@given(heads=st.integers(1, 6), queries=st.integers(1, 6), past=st.integers(0, 4))
def test_alibi_lowers_scores_by_slope_times_distance(heads, queries, past):
    alibi, keys = ALiBi(heads), past + queries
    bias = alibi(queries, keys)
    assert bias.shape == (heads, queries, keys)
    assert (bias[:, range(queries), range(past, keys)] == 0).all()  # a query and its own key
    for (head, query, key), value in zip(
        torch.cartesian_prod(*map(torch.arange, bias.shape)).reshape(-1, 3).tolist(),
        bias.flatten().tolist(),
        strict=True,
    ):
        assert value == pytest.approx(-alibi.slopes[head].item() * abs(past + query - key))


@pytest.mark.parametrize("position", [Sinusoidal(4, 16), Learned(4, 16), Rotary(4, 16)])
def test_beyond_the_context_both_numbers_are_named(position):
    x = torch.zeros(1, 1, 3, 4) if isinstance(position, Rotary) else torch.zeros(1, 3, 4)
    assert position(x, past=13).shape == x.shape
    with pytest.raises(ValueError, match=r"position 17.*context is 16"):
        position(x, past=14)


def test_rotary_refuses_heads_of_odd_width():
    with pytest.raises(ValueError, match="must be even; it is 5"):
        Rotary(5, context=8)
