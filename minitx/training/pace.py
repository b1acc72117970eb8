"""How long the parts of a run take, and how many of them are left."""

import math
from dataclasses import dataclass


@dataclass
class Pace:
    """How long the parts of a run took so far, in this process.

    The estimates are None as long as nothing is known. A validation takes the time between two
    steps, with its samples, pictures and checkpoints. Before the first one is finished, its time is
    estimated from the batches that were evaluated.
    """

    steps: int = 0
    step_seconds: float = 0.0
    validations: int = 0
    validation_seconds: float = 0.0
    batches: int = 0  # of evaluation
    batch_seconds: float = 0.0

    def of_steps(self, steps: int) -> float | None:
        """Estimate the seconds of a number of steps."""
        return steps * self.step_seconds / self.steps if self.steps else None

    def of_batches(self, batches: int) -> float | None:
        """Estimate the seconds of a number of batches of evaluation."""
        return batches * self.batch_seconds / self.batches if self.batches else None

    def of_validations(self, validations: int, batches: int) -> float | None:
        """Estimate the seconds of a number of validations with `batches` each."""
        if self.validations:
            return validations * self.validation_seconds / self.validations
        return self.of_batches(validations * batches)


def validations_to_come(step: int, max_steps: int, val_every: int) -> int:
    """Return the number of validations after that of a step. The last step has one too."""
    if step >= max_steps:
        return 0
    return math.ceil(max_steps / val_every) - step // val_every
