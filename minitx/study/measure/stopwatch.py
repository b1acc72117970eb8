"""What a process does that `minitx.study.measure.speed` starts for each measurement.

The module imports little, so that the memory of such a process is small against that of training.
"""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
import torch._dynamo  # as optimizers do, whose memory this is not
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

from minitx.config.schema import Config
from minitx.errors import short_reason
from minitx.models.budget import within_budget
from minitx.models.build import language_model
from minitx.models.language_model import LanguageModel, count_parameters
from minitx.objectives.optim import clip_gradients, make_optimizer
from minitx.study.measure.costs import latency_ms, operations_per_token
from minitx.study.measure.timing import repeated, wait_for
from minitx.training.environment import peak_memory
from minitx.training.kernels import computing

LEAST_STEPS = 3  # whatever time they take


def answer(to: Connection, config: Config, vocab_size: int, seconds: float) -> None:
    """Send what `measure` returns or, if it fails, in one line why."""
    try:
        to.send(measure(config, vocab_size, seconds))
    except Exception as error:
        to.send(short_reason(error) or type(error).__name__)


def measure(config: Config, vocab_size: int, seconds: float) -> dict[str, float]:
    """Measure in this process what `minitx.study.measure.speed.measure_speed` returns.

    Raises ValueError for a model that cannot be built.
    """
    with computing(config.trainer):
        return _measure(config, vocab_size, seconds)


def _measure(config: Config, vocab_size: int, seconds: float) -> dict[str, float]:
    device = torch.device("cpu" if config.trainer.accelerator == "cpu" else "cuda")
    imports = _peak_memory(device)
    torch.manual_seed(config.seed)
    build = partial(language_model, vocab_size=vocab_size)
    model = build(within_budget(config.model, config.budget, build)).to(device)
    length, batch_size = config.model.context, config.data.batch_size
    assert batch_size is not None  # language modelling always has one
    draw = partial(torch.randint, vocab_size, (batch_size, length + 1), device=device)
    with _alone_on(device):
        steps, passes, computed = zip(*train(model, config, draw, 0.8 * seconds), strict=True)
        peak = _peak_memory(device)
        latency = latency_ms(model, length, 0.2 * seconds)
    low, middle, high = quantiles(steps, n=4, method="inclusive")
    parameters, non_embedding = count_parameters(model)
    return {
        "step_seconds": middle,
        "step_seconds_low": low,
        "step_seconds_high": high,
        "forward_backward_seconds": median(passes),
        "tokens_per_second": batch_size * length / middle,
        "latency_ms": latency,
        "peak_memory_mb": (peak - imports) / 1e6,
        "imports_memory_mb": imports / 1e6,
        "threads": torch.get_num_threads(),
        "cpu_share": sum(computed) / sum(steps) / torch.get_num_threads(),
        "steps": len(steps),
        "parameters": parameters,
        "parameters_non_embedding": non_embedding,
        "operations_per_token": operations_per_token(model, length),
    }


def train(
    model: LanguageModel, config: Config, draw: Callable[[], Tensor], seconds: float
) -> list[tuple[float, float, float]]:
    """Return the seconds of each step, of its forward and backward pass, and of CPU time.

    `draw()` returns the windows of a step, int64 (B, T + 1), on the model's device.
    """
    optimizer = make_optimizer(model, config.optimizer)
    smoothing = config.task.label_smoothing
    half = config.trainer.precision == "bf16-mixed"

    def step() -> tuple[float, float, float]:
        windows = draw()
        wait_for(windows.device)
        began, computed = time.perf_counter(), time.process_time()
        with torch.autocast(windows.device.type, torch.bfloat16, enabled=half):
            logits, _ = model(windows[:, :-1])
            targets = windows[:, 1:].flatten()
            loss = F.cross_entropy(logits.flatten(0, 1), targets, label_smoothing=smoothing)
        loss.backward()
        wait_for(windows.device)
        passed = time.perf_counter()
        clip_gradients(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        wait_for(windows.device)
        ended, computed = time.perf_counter(), time.process_time() - computed
        return ended - began, passed - began, computed

    return repeated(step, seconds, LEAST_STEPS)


def _alone_on(device: torch.device) -> AbstractContextManager[Any]:
    """Return a lock that other measurements on the GPU wait for. Cores are many, GPUs are not."""
    if device.type == "cpu":
        return nullcontext()
    return FileLock(Path(tempfile.gettempdir(), f"minitx-gpu-{os.getuid()}.lock"))


def _peak_memory(device: torch.device) -> int:
    """Return the peak of the memory in bytes: of the device, or of this process on a CPU."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_memory()
