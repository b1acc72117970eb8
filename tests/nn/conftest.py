"""Seed torch anew for every example of a property."""

import torch
from hypothesis import register_random


class TorchRandom:
    """Torch's generator, in the form in which hypothesis manages generators."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


TORCH_RANDOM = TorchRandom()  # hypothesis keeps a weak reference only
register_random(TORCH_RANDOM)
