"""The process that `minitx.study.measure.speed` starts for each measurement.

It reads the arguments of `measure` from standard input and writes the result to standard output,
both as JSON. It imports little, so that its own memory is small against that of training.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from torch import Tensor

from minitx.config.compose import from_plain
from minitx.config.schema import Config
from minitx.models.budget import fit_width
from minitx.models.build import language_model
from minitx.models.language_model import LanguageModel, count_parameters
from minitx.objectives.optim import clip_gradients, make_optimizer
from minitx.study.measure.costs import latency_ms, operations_per_token
from minitx.study.measure.timing import repeated
from minitx.training.environment import peak_memory


def measure(config: Config, vocab_size: int, seconds: float) -> dict[str, float]:
    """Measure in this process what `minitx.study.measure.speed.measure_speed` returns.

    Raises ValueError for a model that cannot be built.
    """
    imports = peak_memory()
    torch.manual_seed(config.seed)
    build, budget = partial(language_model, vocab_size=vocab_size), config.budget.parameters
    model = build(config.model if budget is None else fit_width(config.model, build, budget))
    length, batch_size = config.model.context, config.data.batch_size
    assert batch_size is not None  # language modelling always has one
    draw = partial(torch.randint, vocab_size, (batch_size, length + 1))
    steps, passes = zip(*train(model, config, draw, 0.8 * seconds), strict=True)
    peak = peak_memory()
    low, middle, high = quantiles(steps, n=4, method="inclusive")
    parameters, non_embedding = count_parameters(model)
    return {
        "step_seconds": middle,
        "step_seconds_low": low,
        "step_seconds_high": high,
        "forward_backward_seconds": median(passes),
        "tokens_per_second": batch_size * length / middle,
        "latency_ms": latency_ms(model, length, 0.2 * seconds),
        "peak_memory_mb": (peak - imports) / 1e6,
        "imports_memory_mb": imports / 1e6,
        "threads": torch.get_num_threads(),
        "steps": len(steps),
        "parameters": parameters,
        "parameters_non_embedding": non_embedding,
        "operations_per_token": operations_per_token(model, length),
    }


def train(
    model: LanguageModel, config: Config, draw: Callable[[], Tensor], seconds: float
) -> list[tuple[float, float]]:
    """Return the seconds of each step, and of its forward and backward pass.

    `draw()` returns the windows of a step, int64 (B, T + 1).
    """
    optimizer = make_optimizer(model, config.optimizer)
    smoothing = config.task.label_smoothing

    def step() -> tuple[float, float]:
        windows = draw()
        began = time.perf_counter()
        logits, _ = model(windows[:, :-1])
        targets = windows[:, 1:].flatten()
        F.cross_entropy(logits.flatten(0, 1), targets, label_smoothing=smoothing).backward()
        passed = time.perf_counter()
        clip_gradients(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - began, passed - began

    return repeated(step, seconds)


if __name__ == "__main__":
    job = json.load(sys.stdin)
    json.dump(measure(**job | {"config": from_plain(job["config"])}), sys.stdout)
