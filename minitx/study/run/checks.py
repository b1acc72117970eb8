"""What scripts/compare.py refuses at once: what can be told before torch is imported."""

from pathlib import Path

from minitx.config.compose import compose
from minitx.config.schema import CompareConfig, StudyConfig
from minitx.runs.paths import check_creatable
from minitx.study.plan.definition import common_words, defined, refuse_hidden, study_folder
from minitx.study.plan.manifest import MANIFEST, read_manifest
from minitx.study.report.sections import check_names, check_task
from minitx.tasks.requirements import check_corpus, check_keys
from minitx.training.checks import check_tracker


def check_comparison(asked: CompareConfig, overrides: list[str]) -> StudyConfig:
    """The study that was asked for, made out; `overrides` are the words of the command line.

    Raises UserError as `check_study`, for a corpus that is missing, and for the report of a study
    that is not there.
    """
    refuse_hidden(asked, overrides)
    definition = defined(asked, common_words(overrides))
    if asked.report_only:
        read_manifest(study_folder(definition))
        return definition
    check_study(asked, definition)
    arm = next(iter(definition.arms.values()))
    first = compose(f"task={asked.task.name}", *arm, *definition.settings)
    check_keys(first)
    check_corpus(first)
    return definition


def check_study(asked: CompareConfig, definition: StudyConfig) -> None:
    """Refuses sections that do not exist or do not suit the task, a folder of another version, and
    a tracker that does not work. Raises UserError.
    """
    for name, place in {"dir": study_folder(definition), "runs": Path(definition.runs)}.items():
        check_creatable(place, f"study.{name}={place}")
    check_names(definition.sections)
    check_task(definition.sections, asked.task.name)
    folder = study_folder(definition)
    if (folder / MANIFEST).exists():
        read_manifest(folder)
    check_tracker(asked.logger)
