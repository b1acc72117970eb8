"""Measure a trained run for a study, in addition to the metrics in the run's folder."""

import csv
import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from minitx.config.checksums import file_checksum
from minitx.config.schema import DataConfig
from minitx.data.batching.windows import DisjointWindows
from minitx.inspection.capture import find_attention, head_count
from minitx.inspection.importance import head_importance
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.measures import measure_heads
from minitx.inspection.reading import maps_alone
from minitx.metrics.length_scores import ACCURACY_AT, EXACT_AT
from minitx.nn.recurrent import RecurrentStack
from minitx.runs.atomic_write import (
    write_atomically,
    write_bytes_atomically,
    write_checked_json,
)
from minitx.runs.run import StoredRun
from minitx.study.measure.carried import by_position
from minitx.study.measure.costs import latency_ms, operations_per_token, state_size
from minitx.study.measure.doublings import by_context
from minitx.study.measure.machine import machine
from minitx.study.plan.run_store import MEASURED, detail_file
from minitx.tasks.base import Evaluation, Task
from minitx.tasks.evaluation import located, open_corpus
from minitx.tasks.language_modeling import LanguageModelingTask
from minitx.tasks.lengths import LengthTask
from minitx.tasks.recall import RecallTask
from minitx.training.environment import git_commit

ITEMS = Path("measured", "items.npz")
CLUSTERS = "clusters"  # in that file, next to the terms of the measures
TEXTS = 16  # of val, to measure heads on
PRUNED_ON = 2  # batches of val, of 8,192 tokens, to switch heads off on

Rows = list[dict[str, Any]]


def measure(folder: Path, details: list[str], data: DataConfig) -> None:
    """Measure the run in `folder` on test, with `details` (see DETAILS), and write measured/.

    `data` has the paths of the corpus. test.json is written last and marks the run as measured. It
    has the checksums of the other files.
    """
    (folder / MEASURED).unlink(missing_ok=True)
    run: StoredRun = StoredRun.open(folder)
    task = open_corpus(run, located(data), "test")
    evaluation = task.evaluate(run.model, "test", run.config.decoding)
    buffer = io.BytesIO()
    clusters = {} if evaluation.clusters is None else {CLUSTERS: evaluation.clusters}
    np.savez_compressed(buffer, allow_pickle=False, **evaluation.items, **clusters)
    write_bytes_atomically(folder / ITEMS, buffer.getvalue())
    for name in details:
        _write_rows(detail_file(folder, name), DETAILS[name](run, task, evaluation))
    files = [folder / ITEMS, *(detail_file(folder, name) for name in details)]
    figures = {
        "metrics": evaluation.metrics,
        "intervals": {name: list(ends) for name, ends in evaluation.intervals.items()},
        "operations_per_token": operations_per_token(run.model, run.config.model.context),
        "state_size": state_size(run.model, run.config.model.context),
        "latency_ms": latency_ms(run.model, run.config.model.context),
        "machine": machine(run.config.trainer.accelerator),
        "measuring_commit": git_commit(),
        "files": {file.name: file_checksum(file) for file in files},
    }
    write_checked_json(folder / MEASURED, figures)


def head_rows(run: StoredRun, task: Task, evaluation: Evaluation) -> Rows:
    """Return the mean measures of each head over some texts of val.

    `diversity` is the mean distance to the other heads of the layer: the total variation between
    their weights, 0 to 1, over queries and pairs. It is empty if the layer has one head.
    """
    if not find_attention(run.model):
        return []
    found: dict[tuple[str, int], list[dict[str, float | None]]] = {}
    for text, output in task.example_texts(TEXTS):
        maps = maps_alone(run, text, output=output, truncate=True)
        distances = _distances(maps)
        for row in measure_heads(maps.maps):
            values = {name: getattr(row, name) for name in HEAD_MEASURES}
            values["diversity"] = distances.get((row.name, row.head))
            found.setdefault((row.name, row.head), []).append(values)
    return [
        {"attention": name, "head": head}
        | {measure: _mean([row[measure] for row in rows]) for measure in rows[0]}
        for (name, head), rows in found.items()
    ]


HEAD_MEASURES = ("entropy", "distance", "first", "previous", "same")


def _distances(maps: AttentionMaps) -> dict[tuple[str, int], float]:
    """The mean total variation between each head and the others of its layer."""
    distances: dict[tuple[str, int], list[float]] = {}
    for each in maps.maps:
        for one, other in combinations(range(len(each.heads)), 2):
            apart = (each.weights[one] - each.weights[other]).abs().sum(dim=-1) / 2  # (queries,)
            for head in (each.heads[one], each.heads[other]):
                distances.setdefault((each.name, head), []).append(float(apart.mean()))
    return {head: float(np.mean(values)) for head, values in distances.items()}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def pruning_rows(run: StoredRun, task: Task, evaluation: Evaluation) -> Rows:
    """Return the loss on val without the k least important heads, for all k (Michel et al. 2019).

    `cost` is the relative increase over the loss with all heads.
    """
    heads = sum(head_count(each) for each in find_attention(run.model).values())
    if not heads:
        return []
    found = head_importance(task, run.model, "val", "loss", heads, PRUNED_ON)
    return [
        {"heads_switched_off": k, "share": k / heads, "loss": loss, "cost": found.cost(loss)}
        for k, loss in enumerate([found.whole, *found.pruned])
    ]


def position_rows(run: StoredRun, task: Task, evaluation: Evaluation) -> Rows:
    """Return the mean loss on test at each position of the context."""
    assert evaluation.by_position is not None
    nats, counts = evaluation.by_position.T
    return [
        {"position": position + 1, "nats": nats[position] / count, "count": int(count)}
        for position, count in enumerate(counts)
    ]


def carried_rows(run: StoredRun, task: LanguageModelingTask, evaluation: Evaluation) -> Rows:
    """Return a recurrence's mean loss on test at each position, also with its state carried over.

    Both are of the same windows. Other models have no state that could be carried on and on.
    """
    if not isinstance(run.model.backbone, RecurrentStack):
        return []
    windows = DisjointWindows(task.store.split("test"), run.config.model.context)
    return [
        {"position": position, "nats": fresh, "nats carried": carried}
        for position, (fresh, carried) in enumerate(by_position(run.model, windows), start=1)
    ]


def doubling_rows(run: StoredRun, task: LanguageModelingTask, evaluation: Evaluation) -> Rows:
    """Return the nats of the same tokens of test, in contexts of 1, 2, 4, ... tokens."""
    assert evaluation.clusters is not None
    tokens = task.store.split("test")
    return by_context(run.model, tokens, run.config.model.context, evaluation.clusters)


def recall_rows(run: StoredRun, task: RecallTask, evaluation: Evaluation) -> Rows:
    """Return the distance to the key of each query of test, and whether the answer was right."""
    return [
        {"pairs": pairs, "distance": int(distance), "right": int(right)}
        for pairs in task.store.numbers
        for distance, right in zip(*task.answers(run.model, "test", pairs), strict=True)
    ]


def length_rows(run: StoredRun, task: LengthTask, evaluation: Evaluation) -> Rows:
    """Return how many sequences of each length of test, and of all their answers, were right."""
    found = evaluation.metrics
    return [
        {
            "length": length,
            "exact match": found[EXACT_AT.format(length)],
            "accuracy": found[ACCURACY_AT.format(length)],
            "chance level": chance,
            "longest in training": task.store.train_length,
        }
        for length, chance in task.store.chances.items()
    ]


# Measurements in addition to the metrics on test, by the names that sections use. Each is a table.
DETAILS: dict[str, Callable[[StoredRun, Any, Evaluation], Rows]] = {
    "heads": head_rows,
    "pruning": pruning_rows,
    "positions": position_rows,
    "doublings": doubling_rows,
    "carried": carried_rows,
    "recall": recall_rows,
    "lengths": length_rows,
}


def _write_rows(path: Path, rows: Rows) -> None:
    text = io.StringIO()
    if not rows:  # a model without heads
        write_atomically(path, "")
        return
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue())
