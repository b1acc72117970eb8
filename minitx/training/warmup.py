"""The steps in which the learning rate rises, in a run that is too short for as many."""

import dataclasses
import sys

from minitx.config.schema import Config, OptimizerConfig
from minitx.runs.paths import launched_by_lightning


def within_the_run(config: Config) -> OptimizerConfig:
    """The optimizer's config with a warm-up that is shorter than the run.

    One that is not, so that the peak would be reached at the very end or never, becomes a tenth of
    `trainer.max_steps`, rounded down, and a line on standard error says so. A run that goes on
    keeps its own, and one that is limited by minutes alone has no number of steps to compare with.
    """
    optimizer, steps = config.optimizer, config.trainer.max_steps
    if config.resume is not None or steps is None or optimizer.warmup_steps < steps:
        return optimizer
    shorter = steps // 10
    if not launched_by_lightning():
        print(
            f"note: optimizer.warmup_steps={optimizer.warmup_steps} is not smaller than "
            f"trainer.max_steps={steps}, so the learning rate would not reach its peak in time: "
            f"it is {shorter} in this run",
            file=sys.stderr,
        )
    return dataclasses.replace(optimizer, warmup_steps=shorter)
