"""Open the task that a config names."""

from minitx.config.schema import Config
from minitx.config.tasks import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE
from minitx.data.tokenizers.text import Tokenizer
from minitx.tasks.base import Task
from minitx.tasks.classification import ClassificationTask
from minitx.tasks.language_modeling import LanguageModelingTask
from minitx.tasks.lengths import PROBLEMS, LengthTask
from minitx.tasks.recall import RecallTask
from minitx.tasks.requirements import check_keys
from minitx.tasks.sequence_to_sequence import SequenceToSequenceTask

# The class of all tasks with an objective, and those of tasks that have their own.
OF_OBJECTIVES: dict[str, type[Task]] = {
    LANGUAGE_MODELING.name: LanguageModelingTask,
    SEQUENCE_TO_SEQUENCE.name: SequenceToSequenceTask,
    CLASSIFICATION.name: ClassificationTask,
}
OF_TASKS: dict[str, type[Task]] = {"recall": RecallTask} | dict.fromkeys(PROBLEMS, LengthTask)


def open_task(config: Config, tokenizer: Tokenizer | None = None) -> Task:
    """Open the corpus that the config names.

    A tokenizer is trained on the corpus, unless one is given: language models may have one that
    was trained elsewhere. Raises UserError if the corpus cannot be read, or if a key is set that
    the task does not use.
    """
    check_keys(config)
    if tokenizer is not None:
        return LanguageModelingTask(config, tokenizer)
    task = config.task
    return OF_TASKS.get(task.name, OF_OBJECTIVES[task.objective.name])(config)
