"""Test the registry of tasks and objectives: it is complete, and each name is used once."""

from pathlib import Path

import pytest

from minitx.commands.table import COMMANDS
from minitx.config.schema import Config, TaskConfig
from minitx.config.tasks import (
    LANGUAGE_MODELING,
    OBJECTIVES,
    TASKS,
    TaskSpec,
    declare_objective,
    declare_task,
)
from minitx.data.corpora import text
from minitx.data.corpora.sources import SOURCES, Source, source_of
from minitx.errors import UserError
from minitx.metrics.decomposable import MEASURES
from minitx.runs.vocabulary import VOCABULARIES
from minitx.tasks.open import OF_OBJECTIVES, open_task
from minitx.tasks.run import Run

CONF = Path(__file__).parents[2] / "conf"


def test_every_task_has_a_config_file_and_a_corpus():
    assert {file.stem for file in (CONF / "task").glob("*.yaml")} == set(TASKS)
    for task in TASKS.values():
        config = Config(task=TaskConfig(name=task.name))
        assert task.synthetic or source_of(config)
        assert config.task.headline in MEASURES


def test_every_objective_has_all_that_it_needs():
    assert set(OBJECTIVES) == set(VOCABULARIES) == set(OF_OBJECTIVES)
    for objective in OBJECTIVES.values():
        assert callable(getattr(Run, objective.command))
        assert objective.command in COMMANDS


@pytest.mark.parametrize(
    "again",
    [
        lambda: declare_task(TASKS["trec"]),
        lambda: declare_objective(LANGUAGE_MODELING),
        lambda: SOURCES.register("trec", SOURCES["trec"]),
    ],
)
def test_a_name_registered_twice_is_refused_in_one_line(again):
    source_of(Config(task=TaskConfig(name="trec")))
    with pytest.raises(UserError, match="is registered twice: choose another name") as caught:
        again()
    assert "\n" not in str(caught.value)


def test_a_task_needs_a_declaration_and_a_source(text_file, tmp_path):
    """Without an edit elsewhere; the third file is conf/task/mine.yaml."""
    declare_task(TaskSpec("mine", LANGUAGE_MODELING, "a text to try"))
    SOURCES.register("mine", Source(lambda config: text.text_file(text_file, 0.1), print))
    try:
        config = Config(task=TaskConfig(name="mine"))
        config.data.batch_size, config.data.cache_dir = 4, str(tmp_path)
        task = open_task(config)
        texts = list(task.example_texts(3))
        assert len(texts) == 3
        assert all(len(each) == config.model.context for each, _ in texts)
        assert config.task.headline == "bits_per_byte"
    finally:
        del TASKS["mine"], SOURCES["mine"]
