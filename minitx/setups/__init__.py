"""A config's task, set up: `open_setup`."""

from minitx.config import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, Config
from minitx.setups.base import Setup
from minitx.setups.classification import ClassificationSetup
from minitx.setups.language_modeling import LanguageModelingSetup
from minitx.setups.sequence_to_sequence import SequenceToSequenceSetup

SETUPS: dict[str, type[Setup]] = {
    LANGUAGE_MODELING: LanguageModelingSetup,
    SEQUENCE_TO_SEQUENCE: SequenceToSequenceSetup,
    CLASSIFICATION: ClassificationSetup,
}


def open_setup(config: Config) -> Setup:
    """Opens the corpus that the config names. Raises UserError where it cannot be had."""
    return SETUPS[config.task.objective](config)
