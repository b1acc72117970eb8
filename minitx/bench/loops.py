"""Time the steps of training loops: that of minitx, and one written by hand."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from minitx.config.schema import Config
from minitx.objectives.optim import clip_gradients, make_optimizer
from minitx.tasks.open import open_task
from minitx.training.callbacks import Clock
from minitx.training.environment import keep_freed_memory
from minitx.training.outputs import output_callbacks
from minitx.training.trackers import finish_trackers
from minitx.training.train import make_trainer


class StepTimes(Clock):
    """Record the time at the end of each training step, in seconds, and the tokens seen by then."""

    def __init__(self) -> None:
        super().__init__(max_minutes=None)
        self.ends: list[float] = []
        self.tokens_then: list[int] = []

    def on_train_batch_end(self, *args: Any) -> None:
        super().on_train_batch_end(*args)
        self.ends.append(time.perf_counter())
        self.tokens_then.append(self.tokens)


def lightning_step(config: Config, steps: int) -> float:
    """Return the seconds per step through Lightning, after the first ten steps."""
    times = trained(config, steps)
    return (times.ends[-1] - times.ends[9]) / (len(times.ends) - 10)


def trained(config: Config, steps: int) -> StepTimes:
    """Train for `steps` steps without validation, and return when each ended."""
    keep_freed_memory()  # as `train` does; it also holds for the other loops of the process
    task = open_task(config)
    torch.manual_seed(config.seed)
    model = task.vocabulary.build(config.model)
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(config, Path(folder), times, output_callbacks(task, Path(folder)))
        trainer.limit_val_batches = 0
        objective = task.objective(model, lambda: trainer.global_step / steps)
        trainer.fit(objective, task.data())
        finish_trackers(trainer, 0)
    return times


def bare_step(
    config: Config, steps: int, change: Callable[[nn.Module], None] | None = None
) -> float:
    """Return the seconds per step of the same model, batches and optimizer without Lightning.

    `change` is applied to every module of the model first.
    """
    vocabulary = open_task(config).vocabulary
    torch.manual_seed(config.seed)
    model = vocabulary.build(config.model)
    if change is not None:
        model.apply(change)
    return plain_loop(model, make_optimizer(model, config.optimizer), config, steps)


def plain_loop(
    model: nn.Module, optimizer: torch.optim.Optimizer, config: Config, steps: int
) -> float:
    """Return the seconds per step of a training loop written by hand, after the first ten steps."""
    batches = open_task(config).data().training_batches(rank=0, world_size=1)
    model.train()
    for step in range(steps):
        if step == 10:
            began = time.perf_counter()
        inputs, targets = batches[step]
        logits, _ = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
    return (time.perf_counter() - began) / (steps - 10)


def optimizer_share(config: Config, steps: int) -> float:
    """Return the fraction of a bare step's time that the optimizer takes."""
    vocabulary = open_task(config).vocabulary
    torch.manual_seed(config.seed)
    model = vocabulary.build(config.model)
    optimizer = make_optimizer(model, config.optimizer)
    began: list[float] = []
    ended: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: began.append(time.perf_counter()))
    optimizer.register_step_post_hook(lambda *_: ended.append(time.perf_counter()))
    step = plain_loop(model, optimizer, config, steps)
    return (sum(ended[10:]) - sum(began[10:])) / (steps - 10) / step
