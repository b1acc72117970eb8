"""What a person reads when a command is done: tables, samples, and the next thing to type."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from minitx.config.schema import CLASSIFICATION, LANGUAGE_MODELING, OBJECTIVES, SEQUENCE_TO_SEQUENCE
from minitx.drawing.formatting import metric
from minitx.runs.checks import SCRIPTS
from minitx.runs.paths import SAMPLES, SUMMARY, launched_by_lightning

if TYPE_CHECKING:  # both import torch
    from minitx.runs.run import Run
    from minitx.tasks.base import Evaluation

# By their names in summary.json; those that a run has are shown, in this order.
SHOWN_METRICS = {
    "loss": "loss (nats/token)",
    "bits_per_byte": "bits per byte",
    "perplexity": "perplexity",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "wer": "word error rate",
    "per": "phoneme error rate",
    "bleu": "BLEU",
    "bleu_lowercase": "BLEU, lower case",
    "chrf": "chrF",
}

# What the runs of a multirun are compared by: few enough to leave a terminal room for their names.
COMPARED_METRICS = {
    LANGUAGE_MODELING: ("val/loss", "val/bits_per_byte"),
    SEQUENCE_TO_SEQUENCE: ("val/loss", "test/wer", "test/per", "test/bleu", "test/chrf"),
    CLASSIFICATION: ("val/loss", "val/accuracy", "test/accuracy"),
}

# Something to try a model of a task with.
EXAMPLES = {
    "shakespeare": "ROMEO:",
    "tiny_shakespeare": "ROMEO:",
    "recall": "k3 v7 k5 v2 k3",
    "cmudict": "attention",
    "multi30k": "A man is reading a book on a bench.",
    "genre": "O, she doth teach the torches to burn bright!",
    "sst2": "A film that nobody who sees it will forget.",
    "trec": "Who wrote the first dictionary?",
}


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Says on standard error what a script loads, while it imports torch.

    A spinner in a terminal, elsewhere a line. Nothing where torch is there already, and nothing in
    the processes that Lightning starts beside the first.
    """
    if "torch" in sys.modules or launched_by_lightning():
        yield
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"loading {what} ...", highlight=False, markup=False, soft_wrap=True)
        yield
        return
    with console.status(f"loading {escape(what)} ..."):
        yield


def show_run(run: "Run") -> None:
    """A finished run: its figures, a sample of what it writes, where it lies, what to do next."""
    folder = run.folder
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    console = Console()
    console.print(_title(summary), highlight=False)
    console.print(metrics_table(summary["metrics"]))
    sample = _last_sample(folder)
    if sample:
        console.print(Panel(Text(sample), title="what it writes now", title_align="left"))
    commands = [
        _use(run, summary["task"]),
        f"python scripts/evaluate.py run={folder} split=val",
        f"python scripts/train.py resume={folder} {_longer(run, summary)}",
    ]
    console.print(f"The run lies in {folder}. Next:", highlight=False)
    for command in commands:
        console.print(f"  {command}", highlight=False, soft_wrap=True)


def metrics_table(metrics: dict[str, float]) -> Table:
    """Rows are metrics, columns are splits."""
    splits = [
        s for s in ("train", "val", "test") if any(name.startswith(f"{s}/") for name in metrics)
    ]
    table = Table("")
    for split in splits:
        table.add_column(split, justify="right")
    for name, label in SHOWN_METRICS.items():
        values = [metrics.get(f"{split}/{name}") for split in splits]
        if any(value is not None for value in values):
            table.add_row(label, *["" if value is None else metric(value) for value in values])
    return table


def show_evaluation(run: "Run", split: str, evaluation: "Evaluation", files: list[str]) -> None:
    """The metrics of one split with their intervals, and where the rest is."""
    console = Console()
    console.print(f"{run.config.model.name} in {run.path}, {run.step:,} steps", highlight=False)
    table = Table("", split, "95% interval")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, label in SHOWN_METRICS.items():
        if name in evaluation.metrics:
            ends = evaluation.intervals.get(name)
            interval = "" if ends is None else f"{metric(ends[0])} to {metric(ends[1])}"
            table.add_row(label, metric(evaluation.metrics[name]), interval)
    console.print(table)
    for signature in evaluation.signatures:
        console.print(signature, highlight=False, soft_wrap=True)
    for file in files:
        console.print(f"  {run.folder / file}", highlight=False, soft_wrap=True)


def stream(texts: Iterator[Iterator[str]], samples: int) -> None:
    """Prints texts piece by piece as they come, numbered where there are several."""
    for number, text in enumerate(texts, start=1):
        if samples > 1:
            print(f"--- sample {number} of {samples} ---")
        for piece in text:
            print(piece, end="", flush=True)
        print(flush=True)


def show_runs(runs: list[tuple[Path, list[str]]]) -> None:
    """The runs of a multirun beside each other: what each had of its own, and what came of it.

    A run is its folder and the words of its command line.
    """
    common = set.intersection(*(set(words) for _, words in runs))
    table = Table(title=f"{len(runs)} runs", title_justify="left")
    table.add_column("run")
    summaries = [json.loads((folder / SUMMARY).read_text("utf-8")) for folder, _ in runs]
    compared = dict.fromkeys(
        name
        for summary in summaries
        for name in COMPARED_METRICS[OBJECTIVES[summary["task"]]]
        if name in summary["metrics"]
    )
    for column in ("parameters", *compared, "tokens/s"):
        heading = column.replace("/", "\n") if column in compared else column
        table.add_column(heading, justify="right", no_wrap=True)
    for (_, words), summary in zip(runs, summaries, strict=True):
        metrics = summary["metrics"]
        own = " ".join(word for word in words if word not in common)
        table.add_row(
            own or f"model={summary['model']} seed={summary['seed']}",
            f"{summary['parameters']:,}",
            *[metric(metrics[name]) if name in metrics else "" for name in compared],
            f"{summary['tokens_per_second']:,.0f}",
        )
    console = Console()
    console.print(table)
    for folder, _ in runs:
        console.print(f"  {folder}", highlight=False, soft_wrap=True)


def _longer(run: "Run", summary: dict[str, Any]) -> str:
    """The override that lets a finished run go on: of the limit that ended it."""
    limits = run.config.trainer
    if limits.max_steps is not None and summary["steps"] >= limits.max_steps:
        return f"trainer.max_steps={2 * summary['steps']}"
    if limits.max_minutes is not None:
        return f"trainer.max_minutes={2 * limits.max_minutes:g}"
    return f"trainer.patience={2 * (limits.patience or 1)}"


def _title(summary: dict[str, Any]) -> str:
    return (
        f"{summary['model']} on {summary['task']}: {summary['parameters']:,} parameters, "
        f"{summary['steps']:,} steps, {summary['tokens_seen']:,} tokens in "
        f"{summary['train_seconds']:.0f} s"
    )


def _use(run: "Run", task: str) -> str:
    """The command that makes use of the model."""
    objective = run.config.task.objective
    command = f"python scripts/{SCRIPTS[objective]}.py run={run.folder}"
    example = EXAMPLES.get(task)
    if objective == LANGUAGE_MODELING:
        return f'{command} prompt="{example}"' if example else command
    return f'{command} text="{example}"' if example else f"{command} input=my.txt"


def _last_sample(folder: Path) -> str:
    path = folder / SAMPLES
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8").rpartition("--- step ")[2].partition("\n")[2].strip()
