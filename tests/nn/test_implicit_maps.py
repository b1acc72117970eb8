"""Test that implicit maps are what recurrences compute: weights @ values, before gate and norm."""

from dataclasses import asdict
from importlib import import_module

import pytest
import torch
from references import assert_close, randomise, real_tokens

from minitx.config.schema import MIXERS
from minitx.nn import mixers
from minitx.nn.attention import SelfAttention
from minitx.nn.minimal_recurrences import MinGRU
from minitx.nn.mixers import Mixer, Shape, find_builder

# The module that reads the result of the mixing step.
READER = {
    "mingru": "output",
    "minlstm": "output",
    "gated_linear": "norm",
    "gated_deltanet": "norm",
}
DIM = 8

causal_or_not = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])


def make(name, causal=True, **changes):
    spec = MIXERS[name]
    import_module(spec.module)
    options = asdict(spec.options()) | changes
    return randomise(find_builder(name)(Shape(DIM, 64, causal), **options)())


def mixed(mixer, reader, x, padding):
    """What the mixing step computes: (B, H, T, D)."""
    caught = []
    getattr(mixer, reader).register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    mixer(x, padding)
    return caught[0].mT[..., None] if mixer.per_channel else caught[0]


@causal_or_not
@pytest.mark.parametrize("name", READER)
def test_weights_times_values_are_the_mixing_step(name, causal):
    torch.manual_seed(0)
    mixer = make(name, causal)
    x = torch.randn(3, 70, DIM)
    lengths = [70, 9, 1]
    padding = real_tokens(lengths, 70)
    weights, values = mixer.implicit_map(x, padding)
    found, expected = weights @ values, mixed(mixer, READER[name], x, padding)
    for row, length in enumerate(lengths):
        assert_close(found[row, :, :length], expected[row, :, :length])
        assert (weights[row, :, :length, length:] == 0).all()  # of padding
    heads = weights.size(1)
    forwards, backwards = weights[:, : heads // 2], weights[:, heads // 2 :]
    assert not forwards.triu(1).any()
    assert not (backwards.triu(1) if causal else backwards.tril(-1)).any()


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_the_weights_of_a_channel_are_shares_of_at_most_one(name):
    weights, values = make(name).implicit_map(torch.randn(2, 30, DIM))
    assert weights.shape == (2, DIM, 30, 30)
    assert values.shape == (2, DIM, 30, 1)
    assert (weights >= 0).all()
    assert (weights.sum(dim=-1) <= 1 + 1e-6).all()
    first = weights[:, :, 0, 0]  # the rest of the first row is the empty state
    assert (first < 1).all()


def test_every_recurrence_that_adds_up_values_is_tested():
    for spec in MIXERS.values():
        import_module(spec.module)
    made = [type(make(name)) for name in MIXERS]
    mapped = {name for name, kind in zip(MIXERS, made, strict=True) if has_map(kind)}
    assert mapped == {*READER, "mamba2"}  # which gates first, and is tested in test_mamba2.py
    with pytest.raises(NotImplementedError, match="a SelfAttention has no implicit map"):
        SelfAttention(DIM, 2).implicit_map(torch.randn(1, 2, DIM))


def has_map(kind):
    return kind.implicit_map is not Mixer.implicit_map


def test_a_map_that_does_not_fit_names_the_length_that_does(monkeypatch):
    monkeypatch.setattr(mixers, "MOST_IMPLICIT", 8 * 10**2)
    mixer = MinGRU(DIM)
    mixer.implicit_map(torch.randn(1, 10, DIM))
    said = (
        "8 implicit maps of 11 tokens have 968 weights, and there is room for 800: read at most 10"
    )
    with pytest.raises(ValueError, match=said):
        mixer.implicit_map(torch.randn(1, 11, DIM))
