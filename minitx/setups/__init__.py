"""A config's task, set up: `open_setup`."""

from minitx.config import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, Config
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


def open_setup(config: Config) -> Setup:
    """Opens the corpus that the config names.

    Raises UserError where it cannot be had, or the config has a key of another one.
    """
    task = config.task
    if task.pairs is not None and task.name != "recall":
        raise UserError(f"task.pairs={task.pairs} is for task=recall, and this is task={task.name}")
    if config.data.share != 1 and task.name in MADE:
        raise UserError(
            f"data.share={config.data.share:g}: task={task.name} makes its examples without end, "
            "leave it out"
        )
    return MADE.get(task.name, SETUPS[task.objective])(config)
