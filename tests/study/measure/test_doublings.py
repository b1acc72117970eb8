"""Test the loss of the same tokens that is measured in contexts of different lengths."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minitx.config.schema import RecurrentConfig, TransformerConfig
from minitx.models.build import language_model
from minitx.study.measure import doublings
from minitx.study.measure.doublings import by_context
from minitx.study.statistics.lengths import doublings as lengths_of

VOCABULARY = 11


def model_of(kind, context):
    if kind == "lstm":
        config = RecurrentConfig(name=kind, cell=kind, dim=12, layers=1, context=context)
    else:
        config = TransformerConfig(dim=16, layers=1, heads=2, context=context)
    return language_model(config, VOCABULARY).eval()


def tokens_of(count):
    return np.random.default_rng(1).integers(VOCABULARY, size=count)


@torch.no_grad()
def nats_of(model, tokens, start, target):
    """What the model loses on one token if it reads the text from `start` up to it."""
    logits, _ = model(torch.from_numpy(tokens[None, start:target]))
    return F.cross_entropy(logits[0, -1], torch.tensor(tokens[target])).item()


@pytest.mark.parametrize(("kind", "context"), [("lstm", 8), ("transformer", 16), ("lstm", 11)])
@pytest.mark.parametrize("count", [18, 40, 67])
@pytest.mark.parametrize("most", [12, 1000])
def test_every_context_predicts_the_same_tokens_from_half_of_it_or_more(
    kind, context, count, most, monkeypatch
):
    monkeypatch.setattr(doublings, "evaluation_batch", lambda length: max(1, 32 // length))
    monkeypatch.setattr(doublings, "TARGETS", most)
    model, tokens = model_of(kind, context), tokens_of(count)
    clusters = np.arange(-(-(count - 1) // context)) // 2 + 5
    size = context - context // 2
    blocks = (count - 1 - context // 2) // size
    taken = np.linspace(0, blocks - 1, min(blocks, max(1, most // size))).astype(int)
    expected = {}
    assert most < 1000 or list(taken) == list(range(blocks))
    for block in taken:
        first = context // 2 + size * block + 1  # the number of the token
        for length in lengths_of(context):
            stride = length - length // 2
            for target in range(first, first + size):
                read = length // 2 + 1 + (target - first) % stride
                assert length / 2 < read <= length
                at = length, int(clusters[(target - 1) // context])
                nats, seen = expected.get(at, (0, 0))
                expected[at] = nats + nats_of(model, tokens, target - read, target), seen + 1
    rows = by_context(model, tokens, context, clusters)
    found = {(row["context"], row["cluster"]): (row["nats"], row["targets"]) for row in rows}
    assert found == {at: pytest.approx(values, rel=1e-5) for at, values in expected.items()}


def test_the_targets_are_spread_over_a_long_split(monkeypatch):
    monkeypatch.setattr(doublings, "TARGETS", 20)
    rows = by_context(model_of("lstm", 8), tokens_of(100), 8, np.arange(13))
    for length in (1, 2, 4, 8):
        at = [row for row in rows if row["context"] == length]
        assert sum(row["targets"] for row in at) == 20
        assert (at[0]["cluster"], at[-1]["cluster"]) == (0, 11)


def test_a_split_of_one_window_is_enough():
    rows = by_context(model_of("lstm", 8), tokens_of(9), 8, np.arange(1))
    assert [(row["context"], row["targets"]) for row in rows] == [(1, 4), (2, 4), (4, 4), (8, 4)]
