"""Measure the speed of minitx, mostly compared with the plain code that it replaces.

Both sides of a comparison run in turn within one process, so that a change in the machine's speed
affects both. The losses in docs/benchmarks.md come from `minitx train`.
"""

import argparse
import os
from typing import Any, NoReturn

from minitx.commands.command import Command
from minitx.config.paths import full_path
from minitx.errors import UserError
from minitx.terminal.text import say
from minitx.training.environment import quiet_libraries


class Parser(argparse.ArgumentParser):
    """A parser that reports errors as the other commands do."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}: {self.prog} --help lists the options")


def bench(words: list[str]) -> None:
    """Run the bench that the words name, and print its measurements."""
    from minitx.bench.sides import processor

    options = parse(words)
    quiet_libraries()
    os.environ["FORCE_COLOR"] = "1"  # rich draws its bar even if the output is not a terminal
    run = options.pop("bench")
    run(**options)
    say(f"on {processor()}")


def parse(words: list[str]) -> dict[str, Any]:
    """Return the bench that the words name, and its options."""
    from minitx.bench.generation import generation  # the benches import torch
    from minitx.bench.gpu import gpu
    from minitx.bench.memory import memory
    from minitx.bench.mixers import mixers
    from minitx.bench.race import time_to_loss
    from minitx.bench.steps import capture, overhead, recurrence, training
    from minitx.bench.translation import translation

    in_rounds = (
        *(training, overhead, recurrence, mixers, capture, generation),
        *(translation, time_to_loss),
    )
    parser = Parser(
        prog=COMMAND.usage,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    benches = parser.add_subparsers(metavar="bench", required=True)
    of = {}
    for each in (*in_rounds, memory, gpu):
        of[each] = benches.add_parser(each.__name__.replace("_", "-"), help=each.__doc__)
        of[each].set_defaults(bench=each)
    for each in in_rounds:
        of[each].add_argument("--rounds", type=int, default=5, help="repetitions of each side [5]")
    for each, corpus in ((time_to_loss, "tiny_shakespeare"), (translation, "multi30k")):
        of[each].add_argument(
            "--data-dir", default="data", type=_folder, help=f"folder with {corpus}/ [data]"
        )
    of[translation].add_argument("--run", help="time the beam search of this run of task=multi30k")
    of[gpu].add_argument("--peak", type=float, help="the device's TFLOPS [by its data sheet]")
    of[gpu].add_argument("--tiny", action="store_true", help="tiny sizes, on the CPU")
    return vars(parser.parse_args(words))


def _folder(path: str) -> str:
    return full_path(path, "--data-dir")


COMMAND = Command(
    name="bench",
    summary="Measure the speed of minitx, compared with plain PyTorch or on a GPU.",
    function=bench,
    schema=None,
    examples=(("overhead", ""), ("gpu --tiny", "")),
)
