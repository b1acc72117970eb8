"""Measure the speed of a language model's training steps on a device."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minitx.bench.peaks import training_operations
from minitx.config.schema import Config
from minitx.models.build import language_model
from minitx.objectives.optim import clip_gradients, make_optimizer
from minitx.study.measure.timing import repeated, timed, wait_for

BLOCKS = 8  # blocks of steps; the host waits for the device only at the end of each


@dataclass(frozen=True)
class Speed:
    """The median time of a whole step and of its optimizer alone, and the speeds."""

    batch_size: int
    step_seconds: float
    optimizer_seconds: float
    tokens_per_second: float
    operations_per_second: float


def number_format(device: torch.device) -> torch.dtype:
    """Return the dtype of a step: bfloat16, float16 on a GPU without it, or float32 on a CPU.

    CPUs use float32 because some do not support an LSTM in bfloat16.
    """
    if device.type == "cpu":
        return torch.float32
    lacking = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.float16 if lacking else torch.bfloat16


def measure(
    config: Config,
    vocab_size: int,
    batch_size: int,
    device: torch.device,
    seconds: float,
    compiled: dict[str, Any] | None = None,
) -> Speed:
    """Train the config's model on random tokens for about `seconds`, and return its speed.

    A step consists of forward and loss under autocast, backward, clipping and the optimizer.
    `compiled` has the options of torch.compile for forward and loss. If it is None, they run
    eagerly.
    """
    torch.manual_seed(config.seed)
    model = language_model(config.model, vocab_size).to(device)
    optimizer = make_optimizer(model, config.optimizer)
    length = config.model.context
    windows = torch.randint(vocab_size, (batch_size, length + 1), device=device)
    inputs, targets = windows[:, :-1].contiguous(), windows[:, 1:].flatten()

    def forward(inputs: Tensor, targets: Tensor) -> Tensor:
        number = number_format(device)
        with torch.autocast(device.type, number, enabled=number != torch.float32):
            logits, _ = model(inputs)
            return F.cross_entropy(logits.flatten(0, 1), targets)

    loss = forward if compiled is None else torch.compile(forward, **compiled)

    def step() -> None:
        optimizer.zero_grad()
        torch.compiler.cudagraph_mark_step_begin()  # outputs of the last step may be overwritten
        loss(inputs, targets).backward()
        clip_gradients(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()

    step_seconds = _seconds_each(step, device, 0.8 * seconds)
    return Speed(
        batch_size,
        step_seconds,
        _seconds_each(optimizer.step, device, 0.2 * seconds),  # with the last step's gradients
        batch_size * length / step_seconds,
        batch_size * length * training_operations(model) / step_seconds,
    )


def fitting(measure: Callable[[int], Speed], batch_size: int) -> Speed:
    """Halve the batch until it fits the device's memory, and return the speed with it.

    Raises torch.OutOfMemoryError if not even one sequence fits.
    """
    while True:
        _forget()
        try:
            return measure(batch_size)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
        batch_size //= 2


def _seconds_each(action: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Return the median time of an action over blocks, within which the host does not wait."""

    def block(times: int) -> float:
        def work() -> None:
            for _ in range(times):
                action()
            wait_for(device)

        return timed(work) / times

    block(3)  # compiles, chooses kernels, allocates
    times = max(1, round(seconds / BLOCKS / block(1)))
    return median(repeated(lambda: block(times), seconds))


def _forget() -> None:
    """Free the code and the memory that were cached for the last model."""
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
