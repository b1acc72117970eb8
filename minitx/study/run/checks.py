"""What `minitx compare` refuses before it imports torch."""

from pathlib import Path

from minitx.config.compose import compose
from minitx.config.schema import CompareConfig, StudyConfig
from minitx.runs.paths import check_creatable
from minitx.study.plan.definition import TASK, defined, study_folder, task_of
from minitx.study.plan.manifest import EVIDENCE, MANIFEST, read_manifest
from minitx.study.report.sections import check_sections
from minitx.tasks.requirements import check_corpus, check_keys
from minitx.training.checks import check_tracker


def check_comparison(asked: CompareConfig, overrides: list[str]) -> StudyConfig:
    """Return the definition of the study that was asked for with the overrides of the command line.

    Raises UserError for a study that cannot be done, for an unknown section or one that does not
    suit the task, for a missing corpus, for a folder of another version, for a tracker that does
    not work, and for the report of a study that does not exist.
    """
    definition = defined(asked, overrides)
    folder = study_folder(definition)
    if asked.report_only:
        if (folder / MANIFEST).exists() or not (folder / EVIDENCE).exists():
            read_manifest(folder)
        return definition
    for name, place in {"dir": folder, "runs": Path(definition.runs)}.items():
        check_creatable(place, f"study.{name}={place}")
    task = task_of(asked, definition).name
    for name in definition.grid.get(TASK, [task]):
        check_sections(definition.sections, name)
    if (folder / MANIFEST).exists():
        read_manifest(folder)
    check_tracker(asked.logger)
    arm = next(iter(definition.arms.values()))
    first = compose(f"task={task}", *arm, *definition.settings)
    check_keys(first)
    check_corpus(first)
    return definition
