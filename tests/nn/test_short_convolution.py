"""Test the short convolution against torch's, and its state."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from references import assert_close, examples, randomise, real_tokens

from minitx.nn.short_convolution import ShortConvolution


def torchs(convolution, x):
    """The same as an `nn.Conv1d`, whose features come before time."""
    weight, dim = convolution.weight.T[:, None], x.size(-1)
    before = F.pad(x.mT, (convolution.size - 1, 0))
    return F.conv1d(before, weight, convolution.bias, groups=dim).mT


@examples
@given(size=st.integers(1, 5), dim=st.integers(1, 4), time=st.integers(1, 9), biased=st.booleans())
def test_it_is_torchs(size, dim, time, biased):
    convolution = randomise(ShortConvolution(dim, size, bias=biased).double())
    x = torch.randn(2, time, dim, dtype=torch.float64, requires_grad=True)
    found, expected = convolution(x)[0], torchs(convolution, x)
    torch.testing.assert_close(found, expected)
    inputs, wanted = [x, *convolution.parameters()], torch.randn_like(found)
    gradients = (torch.autograd.grad(y, inputs, wanted) for y in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@examples
@given(
    size=st.integers(1, 5),
    pieces=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    lengths=st.none() | st.lists(st.integers(0, 10), min_size=3, max_size=3),
)
def test_in_pieces_as_in_one_go(size, pieces, lengths):
    time = sum(pieces)
    convolution = randomise(ShortConvolution(2, size))
    x = torch.randn(3, time, 2)
    padding = None if lengths is None else real_tokens(lengths, time)
    whole, final = convolution(x, padding)
    state, outputs, start = None, [], 0
    for length in pieces:
        piece = slice(start, start + length)
        y, state = convolution(x[:, piece], None if padding is None else padding[:, piece], state)
        outputs.append(y)
        start += length
    assert_close(torch.cat(outputs, dim=1), whole)
    assert torch.equal(state, final)


@examples
@given(
    size=st.integers(1, 5), lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    in_front=st.booleans(),
)  # fmt: skip
def test_padding_is_zero_and_the_state_is_the_last_real_inputs(size, lengths, in_front):
    time = max(lengths) + 1
    convolution = randomise(ShortConvolution(3, size))
    x = torch.randn(len(lengths), time, 3)
    padding = real_tokens(lengths, time)
    if in_front:
        padding = padding.flip(1)
    y, state = convolution(x, padding)
    assert_close(y, convolution(x * padding[..., None])[0] * padding[..., None])
    for row, real in enumerate(padding):
        alone, state_alone = convolution(x[row : row + 1, real])
        torch.testing.assert_close(y[row : row + 1, real], alone)
        assert torch.equal(state[row : row + 1], state_alone)


def test_a_row_of_padding_keeps_its_state_and_has_no_gradient():
    convolution = randomise(ShortConvolution(3))
    x = torch.randn(2, 4, 3, requires_grad=True)
    before = torch.randn(2, 3, 3)
    y, state = convolution(x, real_tokens([4, 0], 4), before)
    assert torch.equal(state[1], before[1])
    assert torch.equal(state[0], x[0, 1:])
    y.sum().backward()
    assert (x.grad[1] == 0).all()


def test_no_future_input_changes_an_output():
    convolution = randomise(ShortConvolution(2))
    x = torch.randn(1, 6, 2)
    y, _ = convolution(x)
    for t in range(1, 6):
        other = torch.cat([x[:, :t], torch.randn(1, 6 - t, 2)], dim=1)
        assert torch.equal(convolution(other)[0][:, :t], y[:, :t])


@pytest.mark.parametrize("size", [2, 4])
def test_it_starts_as_torchs(size):
    convolution = ShortConvolution(10_000, size).requires_grad_(False)
    bound = size**-0.5
    for parameter in convolution.parameters():
        assert parameter.abs().max() == pytest.approx(bound, rel=0.01)
        assert parameter.std() == pytest.approx(bound / 3**0.5, rel=0.02)
