"""Random numbers that depend on the step of a run, and not on what happened before.

A step draws dropout from (seed, batch, rank), and a batch draws its windows from (seed, batch). So
a resumed run repeats the uninterrupted one without a saved generator state, and validation or
samples of text between two steps change nothing.
"""

import numpy as np
import torch


def derived_seed(*parts: int) -> int:
    """Return a 64-bit seed from non-negative numbers, mixed by numpy's SeedSequence."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def seed_step(seed: int, batch: int, rank: int) -> None:
    """Seed torch's generators for the training step on batch `batch` of the run."""
    number = derived_seed(seed, batch, rank)
    if torch.accelerator.is_available():
        torch.manual_seed(number)
    else:  # torch.manual_seed would record the call stack for each kind of GPU that is not there
        torch.default_generator.manual_seed(number)


def stream(seed: int, number: int) -> np.random.Generator:
    """Return the random generator of a batch or an epoch.

    Each pair of seed and number, both below 2**64, has its own stream of this counter-based
    generator (Salmon et al. 2011).
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))
