"""How fast a language model trains and generates at one length, and what memory that takes.

Every measurement has a process of its own: the most that a process has held in memory never falls
again, so that what was done before would be counted too. See `minitx.study.measure.stopwatch`.
"""

import json
import re
import signal
import subprocess
import sys

from minitx.config.compose import to_plain
from minitx.config.schema import Config, TrainerConfig
from minitx.errors import UserError
from minitx.tasks.open import open_task


def measure_speed(config: Config, seconds: float = 5.0) -> dict[str, float]:
    """The speed of the config's model, untrained, on the CPU.

    Four fifths of the seconds go to training (or what two steps take, after a first), the rest to
    generation; its process needs a few more to start.

    Each step reads `data.batch_size` windows of `model.context` random tokens, of as many kinds as
    the task's tokenizer knows: no cost depends on what the tokens are. What is found:

    - `step_seconds`: a step of training (forward, loss, backward, clipping, optimizer), the median
      of as many as there was time for; `step_seconds_low` and `step_seconds_high`, their quartiles
    - `forward_backward_seconds`: the same without clipping and optimizer, whose cost depends on
      the number of parameters only
    - `tokens_per_second` of training, by the median
    - `latency_ms`: generating the last token of the context, the others read; see `latency_ms`
    - `peak_memory_mb`: the most that training added to the memory of its process, in MB resident;
      `imports_memory_mb`: what Python and its libraries had taken before
    - `threads` of torch; `steps` that were timed
    - `parameters`, `parameters_non_embedding`, `operations_per_token`

    Raises UserError for a task that is no language modelling, for settings of the trainer that are
    not measured, and where the process fails: for a model that cannot be built or held in memory.
    """
    if not config.task.objective.windows:
        raise UserError(
            f"task={config.task.name} is {config.task.objective}: speed is measured on language "
            "models, as of task=shakespeare"
        )
    plain = TrainerConfig()
    for name in ("accelerator", "devices", "precision", "compile", "accumulate"):
        if (value := getattr(config.trainer, name)) != getattr(plain, name):
            raise UserError(f"trainer.{name}={value}: no speed is measured with it, leave it out")
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
        text=True,
        check=False,
    )
    if ended.returncode:
        raise UserError(
            f"no speed of model={config.model.name} at model.context={config.model.context}: "
            f"{_reason(ended)}"
        )
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    """Why the process failed, in one line."""
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        return f"its process was ended by {name}, as happens where memory runs out"
    lines = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
    return re.sub(r"^[\w.]+: ", "", lines[-1])  # without the name of the exception
