"""The summed loss of sequence to sequence, against torch's cross-entropy over all the logits."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from minitx.data.batching.windows import IGNORE
from minitx.metrics import losses
from minitx.metrics.losses import CHUNK, IN_TORCH, summed_cross_entropy

few_examples = settings(deadline=None, max_examples=40)
needs_torchs = pytest.mark.skipif(not IN_TORCH, reason="needs the chunked loss of torch 2.13")


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[pytest.param(True, id="torch's chunks", marks=needs_torchs), False],
    ids=lambda param: "own chunks",
)
def _path(request):
    """Run every test with torch's chunked loss, if it has one, and with the replacement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "IN_TORCH", request.param)
        yield


def task(rows, time, dim, vocab, ignored, dtype=torch.float64, seed=0):
    """Features (rows, time, dim), an output layer, and targets of which a share is ignored."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, time, dim, generator=generator, dtype=dtype, requires_grad=True)
    to_logits = nn.Linear(dim, vocab, bias=False, dtype=dtype)
    targets = torch.randint(vocab, (rows, time), generator=generator)
    targets[torch.rand(rows, time, generator=generator) < ignored] = IGNORE
    return features, to_logits, targets


def with_gradients(loss, features, to_logits):
    """A loss, and its gradients with respect to features and weight."""
    return loss, *torch.autograd.grad(loss, [features, to_logits.weight])


def by_torch(features, to_logits, targets, label_smoothing):
    return F.cross_entropy(
        to_logits(features).flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORE,
        label_smoothing=label_smoothing,
        reduction="sum",
    )


@few_examples
@given(
    st.integers(1, 5),
    st.integers(1, 7),
    st.integers(1, 12),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 100),
)
@example(1, 1, 4, 4, 0.1, 0.0, 0)  # as many tokens as features
def test_it_is_torchs_loss(rows, time, dim, vocab, label_smoothing, ignored, seed):
    features, to_logits, targets = task(rows, time, dim, vocab, ignored, seed=seed)
    ours = summed_cross_entropy(features, to_logits, targets, label_smoothing)
    theirs = by_torch(features, to_logits, targets, label_smoothing)
    assert ours.shape == ()
    torch.testing.assert_close(
        with_gradients(ours, features, to_logits), with_gradients(theirs, features, to_logits)
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 100])
@pytest.mark.parametrize("vocab", [6, 50], ids=["small vocabulary", "large vocabulary"])
def test_more_rows_than_are_taken_at_a_time(rows, vocab, label_smoothing):
    features, to_logits, targets = task(1, rows, dim=8, vocab=vocab, ignored=0.2)
    ours = summed_cross_entropy(features, to_logits, targets, label_smoothing)
    theirs = by_torch(features, to_logits, targets, label_smoothing)
    torch.testing.assert_close(
        with_gradients(ours, features, to_logits), with_gradients(theirs, features, to_logits)
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("vocab", [4, 30])
def test_positions_without_targets_have_no_loss(vocab, label_smoothing):
    """As on a rank that got no rows of a batch: it takes part, and changes no weight."""
    features, to_logits, targets = task(2, 3, dim=8, vocab=vocab, ignored=1.1)
    assert (targets == IGNORE).all()
    loss = summed_cross_entropy(features, to_logits, targets, label_smoothing)
    for value in with_gradients(loss, features, to_logits):
        assert torch.equal(value, torch.zeros_like(value))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_ignored_targets_do_not_matter(label_smoothing):
    features, to_logits, targets = task(4, 6, dim=8, vocab=30, ignored=0.5)
    values = with_gradients(
        summed_cross_entropy(features, to_logits, targets, label_smoothing), features, to_logits
    )
    other = torch.where((targets == IGNORE)[..., None], 1e3, features.detach()).requires_grad_()
    others = with_gradients(
        summed_cross_entropy(other, to_logits, targets, label_smoothing), other, to_logits
    )
    torch.testing.assert_close(values, others)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("vocab", [6, 50])
def test_mixed_precision_is_near(vocab, label_smoothing):
    """As with trainer.precision=bf16-mixed: features in bfloat16, weights in float32."""
    exact, to_logits, targets = task(4, 6, 32, vocab, ignored=0.2, dtype=torch.float32)
    features = exact.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        ours = summed_cross_entropy(features, to_logits, targets, label_smoothing)
    theirs = by_torch(exact, to_logits, targets, label_smoothing)
    ours = with_gradients(ours, features, to_logits)
    theirs = with_gradients(theirs, exact, to_logits)
    assert ours[2].dtype == torch.float32
    for one, other in zip(ours, theirs, strict=True):
        assert (one.float() - other).norm() <= 0.02 * other.norm()


@needs_torchs
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_both_paths_give_the_same_numbers(label_smoothing, monkeypatch):
    """In float32, as in a training: sums of n terms differ by a few roundings."""
    features, to_logits, targets = task(3, 500, 16, 90, ignored=0.2, dtype=torch.float32)
    found = []
    for in_torch in (True, False):
        monkeypatch.setattr(losses, "IN_TORCH", in_torch)
        loss = summed_cross_entropy(features, to_logits, targets, label_smoothing)
        found.append(with_gradients(loss, features, to_logits))
    for torchs, ours in zip(*found, strict=True):
        assert (torchs - ours).norm() <= 1e-5 * torchs.norm()


def test_no_logits_are_kept_for_the_backward_pass():
    """No tensor that autograd keeps is larger than the features."""
    rows, dim = 4 * CHUNK, 8
    features, to_logits, targets = task(1, rows, dim, vocab=50, ignored=0.2)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        summed_cross_entropy(features, to_logits, targets)
    assert max(kept, default=0) <= rows * dim
