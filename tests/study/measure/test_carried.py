"""Test the loss of a recurrence whose state is carried over from window to window."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minitx.config.schema import RecurrentConfig
from minitx.data.batching.windows import DisjointWindows
from minitx.models.build import language_model
from minitx.study.measure.carried import STREAMS, by_position

CONTEXT, VOCABULARY = 8, 11


def model_of(cell):
    config = RecurrentConfig(name=cell, cell=cell, dim=12, layers=2, context=CONTEXT)
    return language_model(config, VOCABULARY).eval()


def windows_of(count):
    tokens = np.random.default_rng(1).integers(VOCABULARY, size=count * CONTEXT + 3)
    return DisjointWindows(tokens, CONTEXT)


@torch.no_grad()
def losses(model, windows, numbers):
    """The nats at each position of successive windows, read as one text."""
    inputs, targets = (
        torch.cat(part)[None] for part in zip(*(windows[n] for n in numbers), strict=True)
    )
    logits, _ = model(inputs)
    return F.cross_entropy(logits.mT, targets, reduction="none").view(-1, CONTEXT).numpy()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_carried_state_is_that_of_the_text_before(cell):
    model, windows = model_of(cell), windows_of(5 * STREAMS)  # and a last one, which is padded
    found = by_position(model, windows)
    carried, fresh = [], []
    for first in range(0, 5 * STREAMS, 5):
        numbers = range(first, first + 5)
        carried.append(losses(model, windows, numbers)[1:])
        fresh += [losses(model, windows, [number]) for number in numbers[1:]]
    np.testing.assert_allclose(found[:, 0], np.concatenate(fresh).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], np.concatenate(carried).mean(axis=0), rtol=1e-5)
    assert not np.allclose(found[:, 0], found[:, 1])


def test_a_short_split_has_fewer_streams_or_nothing_to_carry():
    model = model_of("lstm")
    two = by_position(model, windows_of(2))
    np.testing.assert_allclose(two[:, 1], losses(model, windows_of(2), [0, 1])[1], rtol=1e-5)
    assert by_position(model, windows_of(1)).shape == (0, 2)
