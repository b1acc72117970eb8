"""Open the task that a config names."""

from minitx.config.schema import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, Config
from minitx.tasks.base import Task
from minitx.tasks.classification import ClassificationTask
from minitx.tasks.language_modeling import LanguageModelingTask
from minitx.tasks.recall import RecallTask
from minitx.tasks.requirements import check_keys
from minitx.tasks.sequence_to_sequence import SequenceToSequenceTask

TASKS: dict[str, type[Task]] = {
    LANGUAGE_MODELING: LanguageModelingTask,
    SEQUENCE_TO_SEQUENCE: SequenceToSequenceTask,
    CLASSIFICATION: ClassificationTask,
}

# Tasks whose examples are made, not read: they stand before their objective.
MADE: dict[str, type[Task]] = {"recall": RecallTask}


def open_task(config: Config) -> Task:
    """Opens the corpus that the config names.

    Raises UserError where it cannot be had, or the config has a key that its task has no use for.
    """
    check_keys(config)
    return MADE.get(config.task.name, TASKS[config.task.objective])(config)
