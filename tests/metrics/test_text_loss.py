"""Test loss, perplexity, bits per byte and accuracy over a split, for any way of cutting it."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minitx.data.batching.windows import IGNORE
from minitx.metrics.token_metrics import TextLoss

VOCAB = 7
BYTES = torch.tensor([1, 1, 2, 3, 5, 0, 4])  # as byte pairs have

few_examples = settings(deadline=None, max_examples=25)

# A log-probability is a float32, off by 1e-7 of its size, in batches of each shape in its own way.
# The mean is off by as much, and the perplexity, its exponential, by 3.5 nats times that.
ROUNDED = 1e-6


def split(windows=6, time=5):
    """Random logits and targets, a fifth of them ignored."""
    logits = 2 * torch.randn(windows, time, VOCAB)
    targets = torch.randint(VOCAB, (windows, time))
    targets[torch.rand(windows, time) < 0.2] = IGNORE
    targets[0, 0] = 3  # at least one counts
    return logits, targets


def measured(*batches):
    losses = TextLoss(BYTES)
    for logits, targets in batches:
        losses.update(logits, targets)
    return losses.compute()


def test_it_is_what_a_loop_over_tokens_gives():
    logits, targets = split()
    nats, correct, tokens, size = 0.0, 0, 0, 0
    for row, target in zip(logits.flatten(0, 1).tolist(), targets.flatten().tolist(), strict=True):
        if target != IGNORE:
            nats -= math.log(math.exp(row[target]) / sum(map(math.exp, row)))
            correct += max(range(VOCAB), key=row.__getitem__) == target
            tokens += 1
            size += BYTES[target].item()
    assert measured((logits, targets)) == pytest.approx(
        {
            "loss": nats / tokens,
            "perplexity": math.exp(nats / tokens),
            "bits_per_byte": nats / math.log(2) / size,
            "accuracy": correct / tokens,
        }
    )


def test_figures_by_hand():
    # Each token has probability 1/4, 2 bits; the four targets stand for 1 + 2 + 3 + 4 = 10 bytes.
    losses = TextLoss(torch.tensor([1, 2, 3, 4]))
    losses.update(torch.zeros(1, 4, 4), torch.arange(4)[None])
    expected = {"loss": math.log(4), "perplexity": 4, "bits_per_byte": 0.8, "accuracy": 0.25}
    assert losses.compute() == pytest.approx(expected)


@few_examples
@given(st.data())
def test_it_does_not_depend_on_how_a_split_is_cut(data):
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    logits, targets = split(windows=8)
    cuts = sorted(data.draw(st.sets(st.integers(1, 7))))
    pieces = zip(torch.tensor_split(logits, cuts), torch.tensor_split(targets, cuts), strict=True)
    assert measured(*pieces) == pytest.approx(measured((logits, targets)), rel=ROUNDED)


def test_the_states_of_two_ranks_add_up():
    logits, targets = split()
    ranks = [TextLoss(BYTES), TextLoss(BYTES)]
    for rank, losses in enumerate(ranks):
        losses.update(logits[rank::2], targets[rank::2])
    merged = TextLoss(BYTES)
    for name, reduce in merged._reductions.items():
        states = torch.stack([getattr(losses, name) for losses in ranks])
        setattr(merged, name, reduce(states))  # as torchmetrics does over processes
    merged.update(logits[:0], targets[:0])
    assert merged.compute() == pytest.approx(measured((logits, targets)), rel=ROUNDED)


def test_a_batch_without_targets_counts_for_nothing():
    logits, targets = split()
    empty = torch.randn(2, 5, VOCAB), torch.full((2, 5), IGNORE)
    assert measured((logits, targets), empty) == measured((logits, targets))


def test_reset_forgets():
    logits, targets = split()
    losses = TextLoss(BYTES)
    losses.update(*split())
    losses.reset()
    losses.update(logits, targets)
    assert losses.compute() == measured((logits, targets))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_sums_stay_exact_in_a_module_of_another_precision(dtype):
    module = nn.ModuleDict({"losses": TextLoss(BYTES)}).to(dtype)  # as trainer.precision does
    logits, targets = split()
    for _ in range(300):  # a sum in bfloat16 would stand still by then
        module["losses"].update(logits, targets)
    assert module["losses"].compute() == pytest.approx(measured((logits, targets)), rel=ROUNDED)


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0], ids=["hard", "learned", "known"])
def test_a_sum_over_many_batches_is_as_exact_as_its_terms(scale):
    """A running sum in float32 is off by 1e-5 of itself by then."""
    losses, nats = TextLoss(), []
    for _ in range(400):
        logits = scale * torch.randn(4, 64, VOCAB)
        targets = torch.where(torch.rand(4, 64) < 0.9, logits.argmax(dim=-1), 3)
        losses.update(logits, targets)
        terms = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        nats += terms.tolist()
    exact = math.fsum(nats) / len(nats)
    assert losses.compute()["loss"] == pytest.approx(exact, rel=1e-15, abs=2**-33)


def test_nothing_is_a_double():
    """Apple's GPUs have no float64."""

    class NoDouble(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            found = [part for part in tree_leaves(result) if isinstance(part, torch.Tensor)]
            assert all(part.dtype != torch.float64 for part in found), func
            return result

    with NoDouble():
        losses = TextLoss(BYTES)
        losses.update(*split())
        losses.compute()


@pytest.mark.parametrize("broken", [math.nan, math.inf, 2.0**40])
def test_a_token_that_is_lost_without_end_is_not_hidden(broken):
    logits, targets = split()
    logits[0, 0, 0] = broken  # and the target is another
    assert measured((logits, targets))["loss"] == math.inf


def test_a_hopeless_model_has_a_finite_perplexity():
    losses = TextLoss(BYTES)
    losses.update(torch.tensor([[[0.0, 1e5, 0, 0, 0, 0, 0]]]), torch.tensor([[0]]))
    assert losses.compute()["loss"] == 1e5
    assert math.isfinite(losses.compute()["perplexity"])


def test_byte_lengths_are_no_part_of_a_checkpoint():
    assert TextLoss(BYTES).state_dict() == {}
