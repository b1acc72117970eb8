"""How long the parts of a run take, and how many of them are to come."""

import math
from dataclasses import dataclass


@dataclass
class Pace:
    """How long the parts of a run took so far, in this process; None while it is not known.

    A validation takes the time between two steps, with its samples, pictures and checkpoints. One
    that was never finished is judged by the batches of evaluation that there have been.
    """

    steps: int = 0
    step_seconds: float = 0.0
    validations: int = 0
    validation_seconds: float = 0.0
    batches: int = 0  # of evaluation
    batch_seconds: float = 0.0

    def of_steps(self, steps: int) -> float | None:
        """Seconds of so many steps."""
        return steps * self.step_seconds / self.steps if self.steps else None

    def of_batches(self, batches: int) -> float | None:
        """Seconds of so many batches of evaluation."""
        return batches * self.batch_seconds / self.batches if self.batches else None

    def of_validations(self, validations: int, batches: int) -> float | None:
        """Seconds of so many validations of so many `batches` each."""
        if self.validations:
            return validations * self.validation_seconds / self.validations
        return self.of_batches(validations * batches)


def validations_to_come(step: int, max_steps: int, val_every: int) -> int:
    """How many validations follow a step, after that of the step itself. The end has one too."""
    if step >= max_steps:
        return 0
    return math.ceil(max_steps / val_every) - step // val_every
