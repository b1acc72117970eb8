"""Measure a trained model on a whole split of its corpus."""

from dataclasses import fields

import numpy as np

from minitx.config.compose import changed, to_plain
from minitx.config.schema import DataConfig, DataLocation, DecodingChange, EvaluateConfig
from minitx.config.tasks import SEQUENCE_TO_SEQUENCE
from minitx.data.lines import json_line
from minitx.data.progress import announced
from minitx.errors import UserError
from minitx.metrics.scores import RESAMPLES
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically, write_json
from minitx.runs.checks import check_run
from minitx.runs.paths import CONFUSION, EVALUATION, OUTPUTS, check_writable
from minitx.runs.run import StoredRun
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.open import open_task


def evaluate(config: EvaluateConfig) -> tuple[StoredRun, Evaluation]:
    """Open the run that `config` names and measure it on `config.split`.

    Raises UserError without a run, for a folder that cannot be written, and as `evaluate_run`.
    """
    run: StoredRun = StoredRun.open(check_run(config.run), config.device)
    check_writable(run.folder, str(run.folder))
    return run, evaluate_run(run, config.split, config.data, config.decoding)


def evaluate_run(
    run: StoredRun, split: str, where: DataLocation, decoding: DecodingChange
) -> Evaluation:
    """Measure a run's model on a split of its corpus, which is at `where` now.

    `decoding` replaces some of the run's own settings. Raises UserError as `open_corpus`, and for a
    task whose evaluation does not decode.
    """
    spec = run.config.task.spec
    if decoding != DecodingChange() and spec.objective is not SEQUENCE_TO_SEQUENCE:
        raise UserError(
            f"decoding.*: {run.path} was trained on task={spec.name}, whose evaluation searches "
            "for no outputs: leave these keys out"
        )
    task = open_corpus(run, where, split)
    run.config.decoding = changed(run.config.decoding, decoding)
    return task.evaluate(run.model, split, run.config.decoding)


def open_corpus(run: StoredRun, where: DataLocation, split: str) -> Task:
    """Open the corpus that a run was trained on, which is at `where` now.

    A model that was trained elsewhere (`minitx.from_transformers`) has no such corpus: for it, the
    corpus that its config names is read with its own tokenizer. Raises UserError if the corpus does
    not have the split, or if it has changed.
    """
    run.config.data = changed(run.config.data, where)
    trained_here = bool(run.data_fingerprint)
    task = open_task(run.config, None if trained_here else run.vocabulary.tokenizer)
    if split not in task.store.splits:
        known = ", ".join(task.store.splits)
        raise UserError(f"split={split}: {run.config.task.name} has only {known}")
    if trained_here and task.store.fingerprint != run.data_fingerprint:
        raise UserError(f"the corpus is not the one that {run.path} was trained on")
    return task


def located(data: DataConfig) -> DataLocation:
    """Return the keys of a config that say where its corpus is."""
    return DataLocation(**{place.name: getattr(data, place.name) for place in fields(DataLocation)})


def write_evaluation(run: StoredRun, split: str, evaluation: Evaluation) -> list[str]:
    """Write an evaluation into the run's folder and return the names of the files.

    evaluation_<split>.json holds the metrics, their intervals and how they were computed,
    outputs_<split>.jsonl every example with the model's output, and confusion_<split>.png a
    classifier's confusion matrix.
    """
    files = [EVALUATION.format(split=split)]
    items = "windows" if run.config.task.objective.windows else "examples"
    clusters = evaluation.clusters
    if clusters is not None and len(sizes := np.unique(clusters)) < len(clusters):
        items = f"{len(sizes):,} clusters of {items}"
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
        lines = [json_line(output) + "\n" for output in evaluation.outputs]
        write_atomically(run.folder / files[-1], "".join(lines))
    if evaluation.confusion is not None:
        from minitx.drawing.figures import draw_confusion  # importing matplotlib takes a while

        files.append(CONFUSION.format(split=split))
        title = f"{run.config.task.name}, {split}"
        with announced("drawing the confusion matrix"):
            picture = draw_confusion(evaluation.confusion, run.vocabulary.labels, title)
        write_bytes_atomically(run.folder / files[-1], picture)
    return files
