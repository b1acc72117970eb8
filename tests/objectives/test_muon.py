"""Test Muon against torch's own and against a plain loop over the formula in float64."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.objectives.muon import ITERATIONS, RMS, Muon, orthogonalise

LR, MOMENTUM, DECAY = 0.02, 0.9, 0.1
ROUNDED = 0.05  # of an update, by bfloat16
SHAPES = [(6, 6), (6, 6), (4, 16), (16, 4), (5, 7), (1, 3)]


def by_formula(x):
    """Newton-Schulz iterations of one matrix, as they stand in Jordan et al. 2024, in float64."""
    x = x.double()
    if x.size(0) > x.size(1):
        return by_formula(x.T).T
    x = x / x.norm()
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x


def gradients(shapes, step):
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def matrices(shapes=SHAPES):
    return [torch.nn.Parameter(g) for g in gradients(shapes, step=100)]


def steps(optimizer, parameters, number=3):
    for step in range(number):
        for parameter, gradient in zip(
            parameters, gradients([p.shape for p in parameters], step), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()


@given(
    parts=st.integers(1, 3), rows=st.integers(1, 12), wider=st.integers(0, 30), seed=st.integers(0)
)
@settings(deadline=None, max_examples=60)
def test_orthogonalise_is_its_formula(parts, rows, wider, seed):
    """Both forms: with 2 n > 3 m the iterations run on the Gram matrix."""
    generator = torch.Generator().manual_seed(seed % 2**31)
    x = torch.randn(parts, rows, rows + wider, generator=generator)
    expected = torch.stack([by_formula(matrix) for matrix in x])
    # Each iteration multiplies an error of a small singular value by up to A = 3.4, and the Gram
    # form starts from rounded squares: sqrt(eps) = 3e-4 for the smallest ones of a square matrix.
    torch.testing.assert_close(orthogonalise(x).double(), expected, rtol=0, atol=2e-3)


def test_singular_values_come_out_near_one():
    x = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(x))
    assert ((values > 0.6) & (values < 1.3)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays(dtype):
    x = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = orthogonalise(x)
    assert y.dtype == dtype
    assert y.isfinite().all()


def test_no_gradient_gives_no_update():
    assert (orthogonalise(torch.zeros(2, 3, 3)) == 0).all()


def test_steps_are_those_of_torch():
    """torch rounds each of 15 products to bfloat16, by up to 2^-9: together below ROUNDED."""
    ours, theirs = matrices(), matrices()
    start = [matrix.detach().clone() for matrix in ours]
    steps(Muon(ours, LR, MOMENTUM, DECAY), ours)
    reference = torch.optim.Muon(
        theirs, lr=LR, momentum=MOMENTUM, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"
    )
    steps(reference, theirs)
    for one, other, before in zip(ours, theirs, start, strict=True):
        moved = (other - before).norm()
        assert (one - other).norm() < ROUNDED * moved


def test_steps_are_those_of_the_formula():
    ours, theirs = matrices(), [matrix.detach().double() for matrix in matrices()]
    steps(Muon(ours, LR, MOMENTUM, DECAY), ours)
    averages = [torch.zeros_like(matrix) for matrix in theirs]
    for step in range(3):
        for matrix, average, g in zip(theirs, averages, gradients(SHAPES, step), strict=True):
            average.mul_(MOMENTUM).add_(g, alpha=1 - MOMENTUM)
            update = by_formula(MOMENTUM * average + (1 - MOMENTUM) * g)
            matrix.mul_(1 - LR * DECAY).sub_(update, alpha=LR * RMS * max(matrix.shape) ** 0.5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.detach().double(), other, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("shape", "parts"), [((8, 5), (0, 4)), ((5, 8), (1, 4)), ((9, 3), (0, 3))])
def test_parts_are_matrices_of_their_own(shape, parts):
    (whole,) = matrices([shape])
    dim, number = parts
    alone = [torch.nn.Parameter(part.detach().clone()) for part in whole.chunk(number, dim)]
    optimizer = Muon([whole], LR, MOMENTUM, DECAY, parts={whole: parts})
    separate = Muon(alone, LR, MOMENTUM, DECAY)
    for step in range(3):
        (whole.grad,) = gradients([shape], step)
        for part, gradient in zip(alone, whole.grad.chunk(number, dim), strict=True):
            part.grad = gradient.clone()
        optimizer.step()
        separate.step()
    # The same sums, though a stack of other size may add them in another order: 8 terms, eps each.
    torch.testing.assert_close(whole.detach(), torch.cat(alone, dim), rtol=0, atol=1e-5)


def test_continues_from_a_checkpoint_of_torch():
    ours, theirs = matrices(), matrices()
    reference = torch.optim.Muon(
        theirs, lr=LR, momentum=MOMENTUM, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"
    )
    steps(reference, theirs)
    for one, other in zip(ours, theirs, strict=True):
        one.data.copy_(other.data)
    optimizer = Muon(ours, lr=1.0, momentum=0.0)  # replaced by those of the checkpoint
    optimizer.load_state_dict(copy.deepcopy(reference.state_dict()))
    before = [matrix.detach().clone() for matrix in ours]
    steps(optimizer, ours)
    steps(reference, theirs)
    for one, other, start in zip(ours, theirs, before, strict=True):
        assert (one - other).norm() < ROUNDED * (other - start).norm()


def test_a_matrix_without_gradient_stays():
    one, other = matrices([(3, 3), (3, 3)])
    one.grad = torch.ones_like(one)
    before = other.detach().clone()
    Muon([one, other], LR).step()
    assert torch.equal(other, before)
