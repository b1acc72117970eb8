"""Measure how fast a language model trains and generates at one length, and its memory.

Every measurement has a process of its own, because the peak memory of a process includes everything
that it did before. See `minitx.study.measure.stopwatch`. To import torch takes longer than many
measurements. So these processes are forks of one that has imported it and done nothing else.
"""

import multiprocessing
import signal
from typing import Any

from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.study.measure.stopwatch import answer
from minitx.tasks.open import open_task

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([answer.__module__])

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
    The first call takes a few more seconds, to import torch.

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
    - `cpu_share`: the CPU time of this process during the timed steps, divided by the product of
      their time and the number of threads; far below 1 if other programs used the machine
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
                f"{' or '.join(f'trainer.{name}={each}' for each in measured)} only"
            )
    vocabulary = open_task(config).vocabulary
    found = _in_a_process(config, vocabulary.tokenizer.vocab_size, seconds)
    if isinstance(found, str):
        raise UserError(
            f"cannot measure model={config.model.name} at model.context={config.model.context}: "
            f"{found}"
        )
    return found


def _in_a_process(config: Config, vocab_size: int, seconds: float) -> dict[str, float] | str:
    """Return what `measure` returns in a process of its own, or in one line why it failed."""
    ours, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=answer, args=(its, config, vocab_size, seconds))
    process.start()
    its.close()  # else the end of the process would not end what it sends
    try:
        found: dict[str, float] | str = ours.recv()
        return found
    except EOFError:
        process.join()
        status = process.exitcode or 0
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"its process was ended by {name}, which happens if memory runs out"
    finally:
        process.kill()
        process.join()
