"""Shorten the warm-up in a run that has fewer steps."""

import dataclasses

from minitx.config.schema import Config, OptimizerConfig
from minitx.runs.paths import launched_by_lightning
from minitx.terminal.text import note


def within_the_run(config: Config) -> OptimizerConfig:
    """Return the optimizer's config with a warm-up that is shorter than the run.

    A longer one, with which the peak would be reached at the very end or never, becomes a tenth of
    `trainer.max_steps`, rounded down, with a note on standard error. A resumed run keeps its own
    warm-up. A run that is limited only by minutes has no number of steps to compare with.
    """
    optimizer, steps = config.optimizer, config.trainer.max_steps
    if config.resume is not None or steps is None or optimizer.warmup_steps < steps:
        return optimizer
    shorter = steps // 10
    if not launched_by_lightning():
        note(
            f"note: optimizer.warmup_steps={optimizer.warmup_steps} is not smaller than "
            f"trainer.max_steps={steps}, so the learning rate would not reach its peak in time: "
            f"it is {shorter} in this run"
        )
    return dataclasses.replace(optimizer, warmup_steps=shorter)
