"""Measure how fast a language model trains and generates at one length, and its memory.

Every measurement has a process of its own, because the peak memory of a process includes everything
that it did before. See `minitx.study.measure.stopwatch`.
"""

import json
import re
import signal
import subprocess
import sys
from typing import Any

from minitx.config.compose import to_plain
from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.tasks.open import open_task

SECONDS = 1.0  # a study measures every point in several processes

# The values of the trainer's keys with which speed is measured.
MEASURED: dict[str, tuple[Any, ...]] = {
    "accelerator": ("cpu", "gpu"),
    "precision": ("32-true", "bf16-mixed"),
    "devices": (1,),
    "compile": (False,),
    "accumulate": (1,),
}


def measure_speed(config: Config, seconds: float = SECONDS) -> dict[str, float]:
    """Return the speed of the config's untrained model on the CPU, or on a GPU.

    Four fifths of the seconds go to training (or longer, for four steps), the rest to generation.
    Its process needs a few more seconds to start.

    Each step reads `data.batch_size` windows of `model.context` random tokens from the task's
    vocabulary. No cost depends on the values of the tokens. The result has:

    - `step_seconds`: the median of the training steps (forward, loss, backward, clipping,
      optimizer); `step_seconds_low` and `step_seconds_high`: their quartiles
    - `forward_backward_seconds`: the same without clipping and optimizer, whose cost depends on
      the number of parameters only
    - `tokens_per_second` of training, from the median
    - `latency_ms`: the time to generate the last token of the context after the others were read
    - `peak_memory_mb`: the peak of resident memory that training added, or of a GPU's memory;
      `imports_memory_mb`: the memory that Python and its libraries took before
    - `threads`: the number of threads of torch; `steps`: the number of timed steps
    - `cpu_share`: the time that the processor worked for this process during training, as a share
      of the time that passed, times the threads; far below 1 if other programs used the machine
    - `parameters`, `parameters_non_embedding`, `operations_per_token`

    Raises UserError for a task other than language modelling, for trainer settings that cannot be
    measured, and if the process fails, because a model cannot be built or does not fit into memory.
    """
    if not config.task.objective.windows:
        raise UserError(
            f"task={config.task.name} is {config.task.objective}: speed is measured on language "
            "models, such as those of task=shakespeare"
        )
    for name, measured in MEASURED.items():
        if (value := getattr(config.trainer, name)) not in measured:
            raise UserError(
                f"trainer.{name}={value}: speed is measured with "
                f"{' and '.join(f'trainer.{name}={each}' for each in measured)} only"
            )
    vocabulary = open_task(config).vocabulary
    job = {
        "config": to_plain(config),
        "vocab_size": vocabulary.tokenizer.vocab_size,
        "seconds": seconds,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "minitx.study.measure.stopwatch"],
        input=json.dumps(job),
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # messages of libraries, which quote paths
        check=False,
    )
    if ended.returncode:
        raise UserError(
            f"cannot measure model={config.model.name} at model.context={config.model.context}: "
            f"{_reason(ended)}"
        )
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    """Return in one line why the process failed."""
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        return f"its process was ended by {name}, which happens if memory runs out"
    lines = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
    return re.sub(r"^[\w.]+: ", "", lines[-1])  # the message of the exception without its name
