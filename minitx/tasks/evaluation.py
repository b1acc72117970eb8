"""A trained model measured on a whole split of its corpus."""

import json
from dataclasses import fields

from minitx.config.compose import changed, to_plain
from minitx.config.schema import LANGUAGE_MODELING, DataConfig, DataLocation, EvaluateConfig
from minitx.errors import UserError
from minitx.metrics.scores import RESAMPLES
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically, write_json
from minitx.runs.checks import check_run
from minitx.runs.paths import CONFUSION, EVALUATION, OUTPUTS, check_writable
from minitx.runs.run import Run, load
from minitx.runs.vocabulary import LabelVocabulary
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.open import open_task


def evaluate(config: EvaluateConfig) -> tuple[Run, Evaluation]:
    """The run, and its model measured on `config.split`; see `write_evaluation` for what it leaves.

    Raises UserError without a run, for a split the corpus has not got, or where the corpus is no
    longer the one that the model was trained on.
    """
    run = load(check_run(config.run), config.device)
    task = open_corpus(run, config.data, config.split)
    check_writable(run.folder, str(run.folder))
    run.config.decoding = changed(run.config.decoding, config.decoding)
    return run, task.evaluate(run.model, config.split, run.config.decoding)


def open_corpus(run: Run, where: DataLocation, split: str) -> Task:
    """The corpus that a run was trained on, where it lies now.

    Raises UserError where it has not got the split, or is no longer the same.
    """
    run.config.data = changed(run.config.data, where)
    task = open_task(run.config)
    if split not in task.store.splits:
        known = ", ".join(task.store.splits)
        raise UserError(f"split={split}: {run.config.task.name} has only {known}")
    if task.store.fingerprint != run.data_fingerprint:
        raise UserError(f"the corpus is not the one that {run.path} was trained on")
    return task


def located(data: DataConfig) -> DataLocation:
    """Where a config says that its corpus is."""
    return DataLocation(**{place.name: getattr(data, place.name) for place in fields(DataLocation)})


def write_evaluation(run: Run, split: str, evaluation: Evaluation) -> list[str]:
    """Leaves what was measured in the run's folder; gives the names of the files.

    evaluation_<split>.json holds the metrics with their intervals and how they came about,
    outputs_<split>.jsonl every example with what the model made of it, confusion_<split>.png which
    label was taken for which.
    """
    files = [EVALUATION.format(split=split)]
    items = "windows" if run.config.task.objective == LANGUAGE_MODELING else "examples"
    figures = {
        "checkpoint": run.path.name,
        "step": run.step,
        "split": split,
        "metrics": evaluation.metrics,
        "intervals": {name: list(ends) for name, ends in evaluation.intervals.items()},
        "intervals_are": f"95%, bootstrap over {items}, {RESAMPLES} resamples",
        "signatures": evaluation.signatures,
        "decoding": to_plain(run.config.decoding),
    }
    write_json(run.folder / files[0], figures)
    if evaluation.outputs:
        files.append(OUTPUTS.format(split=split))
        lines = [json.dumps(output, ensure_ascii=False) + "\n" for output in evaluation.outputs]
        write_atomically(run.folder / files[-1], "".join(lines))
    if evaluation.confusion is not None:
        from minitx.drawing.figures import draw_confusion  # matplotlib takes its time

        files.append(CONFUSION.format(split=split))
        assert isinstance(run.vocabulary, LabelVocabulary)
        title = f"{run.config.task.name}, {split}"
        picture = draw_confusion(evaluation.confusion, run.vocabulary.labels, title)
        write_bytes_atomically(run.folder / files[-1], picture)
    return files
