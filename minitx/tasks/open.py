"""A config's task, set up: `open_setup`."""

from minitx.config.schema import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, Config
from minitx.tasks.base import Setup
from minitx.tasks.classification import ClassificationSetup
from minitx.tasks.language_modeling import LanguageModelingSetup
from minitx.tasks.recall import RecallSetup
from minitx.tasks.requirements import check_keys
from minitx.tasks.sequence_to_sequence import SequenceToSequenceSetup

SETUPS: dict[str, type[Setup]] = {
    LANGUAGE_MODELING: LanguageModelingSetup,
    SEQUENCE_TO_SEQUENCE: SequenceToSequenceSetup,
    CLASSIFICATION: ClassificationSetup,
}

# Tasks whose examples are made, not read: they stand before their objective.
MADE: dict[str, type[Setup]] = {"recall": RecallSetup}


def open_setup(config: Config) -> Setup:
    """Opens the corpus that the config names.

    Raises UserError where it cannot be had, or the config has a key that its task has no use for.
    """
    check_keys(config)
    return MADE.get(config.task.name, SETUPS[config.task.objective])(config)
