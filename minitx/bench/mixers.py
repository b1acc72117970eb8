"""Measure the time of each mixer, compared with attention."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch

from minitx.bench.sides import in_turn
from minitx.config.schema import MIXERS, TransformerConfig
from minitx.models.build import mixer_factory
from minitx.nn.mixers import Mixer
from minitx.study.measure.timing import timed

DIM = 128
BATCHES = ((8, 128), (1, 512), (1, 2048), (1, 8192))  # sequences, and the tokens of each


def mixers(rounds: int) -> None:
    """Compare forward and backward passes of each causal mixer of width 128 with attention."""
    for batch_size, length in BATCHES:
        x = torch.randn(batch_size, length, DIM, requires_grad=True)
        config = TransformerConfig(dim=DIM, context=length)
        made = {name: mixer_factory(name, config, causal=True)() for name in MIXERS}
        sides = {name: partial(timed, partial(_passes, each, x)) for name, each in made.items()}
        print(f"{batch_size} x {length:,} tokens, one layer of width {DIM}")
        _compare(sides, rounds, batch_size * length)


def _passes(mixer: Mixer, x: torch.Tensor) -> None:
    mixer(x)[0].sum().backward()


def _compare(sides: Mapping[str, Callable[[], float]], rounds: int, tokens: int) -> None:
    """Run the sides in turn. Print their median times, and the median ratios to the first."""
    in_turn(sides, 1)  # warms up
    seconds = in_turn(sides, rounds)
    attention = next(iter(seconds.values()))
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(attention, values, strict=True)]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f} in {rounds} rounds)"
        print(
            f"  {name:<14} {1e6 * median(values) / tokens:8.2f} µs/token, "
            f"attention takes {median(ratios):.2f} times as long {spread}"
        )
