"""The limits of a run, and which of them ended it."""

from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from minitx.config.schema import Config, TrainerConfig
from minitx.metrics.decomposable import MEASURES
from minitx.training.callbacks import measured


class Goal(L.Callback):
    """End a run when its headline measure reaches `trainer.goal` in a validation.

    A validation may read a part of val only (`trainer.val_tokens`). Then, the measure of that part
    counts.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.value: float | None = None  # at the latest validation

    def on_validation_end(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.value = measured(trainer, "val/")[f"val/{self.config.task.headline}"]
            trainer.should_stop = trainer.should_stop or reached(self.value, self.config)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value = state_dict["value"]


def reached(value: float | None, config: Config) -> bool:
    """Return whether the headline measure reaches the goal, if it is known and there is one."""
    goal = config.trainer.goal
    if goal is None or value is None:
        return False
    return value <= goal if MEASURES[config.task.headline].lower_is_better else value >= goal


def ended_by(step: int, states: dict[str, Any], config: Config) -> str | None:
    """Return the key of `trainer` that ends a run at this step, or None if none does.

    `states` are those of the callbacks, as a checkpoint has them. If several keys end it, the goal
    comes first.
    """
    limits, minutes = config.trainer, states["Clock"]["elapsed"] / 60
    if reached(states.get(Goal.__qualname__, {}).get("value"), config):
        return "goal"
    if limits.max_steps is not None and step >= limits.max_steps:
        return "max_steps"
    if limits.max_minutes is not None and minutes >= limits.max_minutes:
        return "max_minutes"
    if limits.patience is not None and waited(states) >= limits.patience:
        return "patience"
    return None


def longer(limits: TrainerConfig, ended_by: str | None, steps: int, idle: int) -> str:
    """Return the override with which a run continues that one of its limits has ended.

    The run has done `steps` steps, and its last `idle` validations improved nothing.
    """
    if ended_by == "goal":
        return "trainer.goal=null"
    if ended_by == "max_minutes" and limits.max_minutes is not None:
        return f"trainer.max_minutes={2 * limits.max_minutes:g}"
    if ended_by == "patience":
        return f"trainer.patience={2 * idle}"
    return f"trainer.max_steps={2 * steps}"


def waited(states: dict[str, Any]) -> int:
    """Return the number of validations without improvement."""
    return max((state.get("wait_count", 0) for state in states.values()), default=0)


def states_of(trainer: L.Trainer) -> dict[str, Any]:
    """Return the states of a trainer's callbacks, as a checkpoint has them."""
    return {each.state_key: each.state_dict() for each in trainer.callbacks}  # type: ignore
