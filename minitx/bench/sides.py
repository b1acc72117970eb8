"""Measure the two sides of a comparison in turn, within one process.

A change in the machine's speed then affects both.
"""

from collections.abc import Callable, Mapping
from statistics import median

import torch

from minitx.study.measure.machine import machine, multiplies_bfloat16


def processor() -> str:
    """Describe the processor, the instructions that torch uses, and the threads."""
    facts = machine()
    native = {True: "bfloat16", False: "no bfloat16", None: "bfloat16 unknown"}
    return (
        f"{facts['processor']}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{native[multiplies_bfloat16()]}; {facts['threads']} threads on {facts['cores']} cores; "
        f"torch {facts['torch']}"
    )


def in_turn(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each side once in every round, and return its results."""
    results: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            results[name].append(side())
    return results


def alternate(sides: dict[str, Callable[[], float]], rounds: int) -> None:
    """Run the sides in turn, and print their medians and the median of their ratios."""
    seconds = in_turn(sides, rounds)
    for name, values in seconds.items():
        print(f"  {name:<14} {1000 * median(values):10.2f} ms")
    first, second = seconds
    ratios = [a / b for a, b in zip(seconds[first], seconds[second], strict=True)]
    print(
        f"  {first} / {second}: {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {rounds} rounds)"
    )
