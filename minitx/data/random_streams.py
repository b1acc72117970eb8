"""Random numbers that depend on where a run is, and not on how it got there.

Every step draws its dropout from (seed, batch, rank), and every batch its windows from (seed,
batch). A resumed run therefore repeats the uninterrupted one without any generator's state being
saved, and what happens between two steps (validation, samples of text) changes nothing.
"""

import numpy as np
import torch


def derived_seed(*parts: int) -> int:
    """One 64-bit seed from several non-negative numbers, well mixed (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def seed_step(seed: int, batch: int, rank: int) -> None:
    """Sets torch's generators for the training step on batch `batch` of the run."""
    torch.manual_seed(derived_seed(seed, batch, rank))


def stream(seed: int, number: int) -> np.random.Generator:
    """The random numbers of a batch, or of an epoch: a counter-based generator.

    Every pair of seed and number, each below 2**64, is a stream of its own (Salmon et al. 2011).
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))
