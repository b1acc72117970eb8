"""A config's task, set up: `open_setup`."""

from typing import Any

from minitx.config import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    OBJECTIVES,
    SEQUENCE_TO_SEQUENCE,
    Config,
)
from minitx.errors import UserError
from minitx.setups.base import Setup
from minitx.setups.classification import ClassificationSetup
from minitx.setups.language_modeling import LanguageModelingSetup
from minitx.setups.recall import RecallSetup
from minitx.setups.sequence_to_sequence import SequenceToSequenceSetup

SETUPS: dict[str, type[Setup]] = {
    LANGUAGE_MODELING: LanguageModelingSetup,
    SEQUENCE_TO_SEQUENCE: SequenceToSequenceSetup,
    CLASSIFICATION: ClassificationSetup,
}

# Tasks whose examples are made, not read: they stand before their objective.
MADE: dict[str, type[Setup]] = {"recall": RecallSetup}


PAIRS = tuple(name for name, kind in OBJECTIVES.items() if kind == SEQUENCE_TO_SEQUENCE)

# Keys of some tasks alone, and the value with which they ask for nothing.
OF_TASKS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "task.pairs": (None, ("recall",)),
    "task.measure": ("bleu", PAIRS),
    "data.path": (None, ("text", "pairs", "labels")),
    "data.target_path": (None, ("pairs",)),
    "data.stress": (False, ("cmudict",)),
    "data.target_tokenizer": (None, PAIRS),
    "data.joint": (False, PAIRS),
    "data.share": (1.0, tuple(name for name in OBJECTIVES if name not in MADE)),
}


def open_setup(config: Config) -> Setup:
    """Opens the corpus that the config names.

    Raises UserError where it cannot be had, or the config has a key that its task has no use for.
    """
    task = config.task
    for key, (nothing, tasks) in OF_TASKS.items():
        group, name = key.split(".")
        value = getattr(getattr(config, group), name)
        if value != nothing and task.name not in tasks:
            raise UserError(
                f"{key}={value}: task={task.name} has no use for it, leave it out (it is for "
                f"{', '.join(tasks)})"
            )
    return MADE.get(task.name, SETUPS[task.objective])(config)
