"""Measure each mixer: the time of training compared with attention, and the cost of generating."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch

from minitx.bench.sides import in_turn
from minitx.config.schema import MIXERS, TransformerConfig
from minitx.models.build import mixer_factory
from minitx.nn.mixers import Mixer
from minitx.study.measure.timing import timed

DIM = 128
POSITIONS = (100, 8000)  # of which the second costs more if the state grows
GENERATED = 256  # tokens in each measurement
BATCHES = ((8, 128), (1, 512), (1, 2048), (1, 8192))  # sequences, and the tokens of each


def mixers(rounds: int) -> None:
    """Compare forward and backward passes of each causal mixer of width 128 with attention."""
    for batch_size, length in BATCHES:
        x = torch.randn(batch_size, length, DIM, requires_grad=True)
        made = _make_all(length)
        sides = {name: partial(timed, partial(_passes, each, x)) for name, each in made.items()}
        print(f"{batch_size} x {length:,} tokens, one layer of width {DIM}")
        _compare(sides, rounds, batch_size * length)
    print(f"generating {GENERATED} tokens after {POSITIONS[0]:,} and after {POSITIONS[1]:,} tokens")
    for name, mixer in _make_all(POSITIONS[-1] + GENERATED).items():
        _generate(name, mixer, rounds)


def _make_all(length: int) -> dict[str, Mixer]:
    """Return a causal mixer of each kind for sequences of up to `length` tokens."""
    config = TransformerConfig(dim=DIM, context=length)
    return {name: mixer_factory(name, config, causal=True)() for name in MIXERS}


def _passes(mixer: Mixer, x: torch.Tensor) -> None:
    mixer(x)[0].sum().backward()


@torch.inference_mode()
def _generate(name: str, mixer: Mixer, rounds: int) -> None:
    """Print the time per token and the size of the state at each position, and their ratios."""
    sides = {}
    for position in POSITIONS:
        _, state = mixer(torch.randn(1, position, DIM))
        sides[f"{position}"] = partial(timed, partial(_continue, mixer, state))
    in_turn(sides, 1)  # warms up
    early, late = in_turn(sides, rounds).values()
    ratios = [b / a for a, b in zip(early, late, strict=True)]
    times = " and ".join(f"{1e6 * median(each) / GENERATED:6.1f}" for each in (early, late))
    first, last = (mixer.state_size(position) for position in POSITIONS)
    print(
        f"  {name:<14} {times} µs/token, {median(ratios):.2f} times as long "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {rounds} rounds); "
        f"state of {first:,} and {last:,} numbers"
    )


def _continue(mixer: Mixer, state: Any) -> None:
    for token in torch.randn(GENERATED, 1, 1, DIM):
        _, state = mixer(token, state=state)


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
