"""Prints how fast minitx is, mostly beside the plain code it stands for.

Both sides of a comparison run in turn within one process, so that a machine that changes its speed
changes both. The figures of docs/benchmarks.md that are losses come from scripts/train.py.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from minitx.bench.generation import generation
from minitx.bench.gpu import gpu
from minitx.bench.memory import memory
from minitx.bench.race import time_to_loss
from minitx.bench.sides import processor
from minitx.bench.steps import capture, overhead, recurrence, training
from minitx.bench.translation import translation
from minitx.errors import UserError
from minitx.training.environment import quiet_libraries

IN_ROUNDS = (training, overhead, recurrence, capture, generation, translation, time_to_loss)
BENCHES: tuple[Callable[..., None], ...] = (*IN_ROUNDS, memory, gpu)


def parse() -> dict[str, Any]:
    """The bench that is asked for, and its options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    benches = parser.add_subparsers(metavar="bench", required=True)
    of = {}
    for bench in BENCHES:
        of[bench] = benches.add_parser(bench.__name__.replace("_", "-"), help=bench.__doc__)
        of[bench].set_defaults(bench=bench)
    for bench in IN_ROUNDS:
        of[bench].add_argument("--rounds", type=int, default=5, help="how often each side runs [5]")
    of[time_to_loss].add_argument("--data-dir", default="data", help="with tiny_shakespeare/")
    of[translation].add_argument("--data-dir", default="data", help="folder with multi30k/")
    of[translation].add_argument("--run", help="a run of task=multi30k whose search is timed")
    of[gpu].add_argument("--peak", type=float, help="the device's TFLOPS [by its data sheet]")
    of[gpu].add_argument("--tiny", action="store_true", help="tiny sizes, on the CPU")
    return vars(parser.parse_args())


def main() -> None:
    """Run scripts/bench.py with the command line of this process."""
    options = parse()
    quiet_libraries()
    os.environ["FORCE_COLOR"] = "1"  # rich draws its bar, also where nobody watches
    bench = options.pop("bench")
    try:
        bench(**options)
        print(f"on {processor()}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
