"""Torch's random numbers start afresh in every test, and in every example of a property."""

import pytest
import torch
from hypothesis import register_random


class TorchRandom:
    """Torch's generator, in the form in which hypothesis manages generators."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


TORCH_RANDOM = TorchRandom()  # hypothesis keeps a weak reference only
register_random(TORCH_RANDOM)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
