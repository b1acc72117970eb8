"""What a command prints when it is done: tables, samples, and the commands to type next."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from minitx.config.command_line import command_line
from minitx.config.tasks import TASKS
from minitx.drawing.formatting import count, metric
from minitx.runs.paths import SAMPLES, launched_by_lightning, read_summary
from minitx.terminal.console import Console
from minitx.terminal.streams import Data
from minitx.terminal.text import note, say

if TYPE_CHECKING:  # both modules import torch
    from minitx.runs.run import StoredRun
    from minitx.tasks.base import Evaluation

# By their names in summary.json. The metrics that a run has are shown in this order.
SHOWN_METRICS = {
    "loss": "loss (nats/token)",
    "bits_per_byte": "bits per byte",
    "perplexity": "perplexity",
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "macro_f1": "macro F1",
    "wer": "word error rate",
    "per": "phoneme error rate",
    "bleu": "BLEU",
    "bleu_lowercase": "BLEU, lower case",
    "chrf": "chrF",
}


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Print on standard error what a command loads, while it imports torch.

    This is a spinner in a terminal, and a line elsewhere. Nothing is printed if torch is already
    loaded, or in the further processes that Lightning starts.
    """
    if "torch" in sys.modules or launched_by_lightning():
        yield
        return
    console = Console(stderr=True)
    if not console.is_interactive:
        note(f"loading {what} ...")
        yield
        return
    with console.status(console.render_str(f"loading {what} ..."), spinner=console.spinner):
        yield


def show_run(run: "StoredRun") -> None:
    """Print a finished run: its metrics, a sample, its folder, and the commands to type next."""
    from minitx.training.limits import longer  # imports Lightning

    folder, limits = run.folder, run.config.trainer
    summary = read_summary(folder)
    console = Console()
    say(_title(summary))
    console.print_table(metrics_table(summary["metrics"]))
    _show_lengths(summary["metrics"], "test/")
    sample = _last_sample(folder)
    if sample:
        console.print_between_rules(sample, "what it writes now")
    ended_by, idle = summary.get("ended_by"), limits.patience or 0
    more = longer(limits, ended_by, summary["steps"], idle)
    commands = [
        _use(run, summary["task"]),
        command_line("evaluate", f"run={folder}", "split=val"),
        command_line("train", f"resume={folder}", more),
    ]
    say(f"The run is in {folder}. Next:")
    for command in commands:
        say(f"  {command}")


def metrics_table(metrics: dict[str, float]) -> Table:
    """Return a table with a row for each metric and a column for each split."""
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


def show_evaluation(
    run: "StoredRun", split: str, evaluation: "Evaluation", files: list[str]
) -> None:
    """Print the metrics of one split with their intervals, and the paths of the files."""
    say(f"{run.config.model.name} in {run.path}, {run.step:,} steps")
    table = Table("", split, "95% interval")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, label in SHOWN_METRICS.items():
        if name in evaluation.metrics:
            ends = evaluation.intervals.get(name)
            interval = "" if ends is None else f"{metric(ends[0])} to {metric(ends[1])}"
            table.add_row(label, metric(evaluation.metrics[name]), interval)
    Console().print_table(table)
    _show_lengths(evaluation.metrics)
    for signature in evaluation.signatures:
        say(signature)
    for file in files:
        say(f"  {run.folder / file}")


def _show_lengths(metrics: dict[str, float], split: str = "") -> None:
    """Print a table of the metrics of test at each length, if there are any."""
    start = f"{split}exact_match_at_"
    lengths = [name.removeprefix(start) for name in metrics if name.startswith(start)]
    if not lengths:
        return
    table = Table()
    for column in ("length in test", "exact match", "accuracy", "chance level"):
        table.add_column(column, justify="right")
    for length in lengths:
        names = (f"{split}{each}_at_{length}" for each in ("exact_match", "accuracy", "chance"))
        table.add_row(length, *(metric(metrics[name]) for name in names))
    Console().print_table(table)


def stream(texts: Iterator[Iterator[str]], samples: int) -> None:
    """Write texts piece by piece as they are generated, with numbers if there are several.

    Raises as `Data.flush`.
    """
    output = Data()
    for number, text in enumerate(texts, start=1):
        if samples > 1:
            output.write(f"--- sample {number} of {samples} ---\n")
        for piece in text:
            output.write(piece)
            output.flush()
        output.write("\n")
        output.flush()


def show_runs(runs: list[tuple[Path, list[str]]]) -> None:
    """Print a table of the runs of a multirun: the overrides of each, and its metrics.

    A run is its folder and its overrides.
    """
    common = set.intersection(*(set(words) for _, words in runs))
    table = Table(title=count(len(runs), "run"), title_justify="left")
    table.add_column("run")
    summaries = [read_summary(folder) for folder, _ in runs]
    compared = dict.fromkeys(
        name
        for summary in summaries
        for name in TASKS[summary["task"]].objective.compared
        if name in summary["metrics"]
    )
    for column in ("parameters", *compared, "tokens/s"):
        heading = column.replace("/", "\n") if column in compared else column
        table.add_column(heading, justify="right")
    for (_, words), summary in zip(runs, summaries, strict=True):
        metrics = summary["metrics"]
        own = " ".join(word for word in words if word not in common)
        table.add_row(
            own or f"model={summary['model']} seed={summary['seed']}",
            f"{summary['parameters']:,}",
            *[metric(metrics[name]) if name in metrics else "" for name in compared],
            f"{summary['tokens_per_second']:,.0f}",
        )
    Console().print_table(table)
    for folder, _ in runs:
        say(f"  {folder}")


def _title(summary: dict[str, Any]) -> str:
    return (
        f"{summary['model']} on {summary['task']}: {summary['parameters']:,} parameters, "
        f"{summary['steps']:,} steps, {summary['tokens_seen']:,} tokens in "
        f"{summary['train_seconds']:.0f} s"
    )


def _use(run: "StoredRun", task: str) -> str:
    """Return the command that uses the model."""
    example, objective = TASKS[task].example, TASKS[task].objective
    use = f"{objective.text_key}={example}" if example else objective.otherwise
    return command_line(objective.command, f"run={run.folder}", *([use] if use else []))


def _last_sample(folder: Path) -> str:
    path = folder / SAMPLES
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8").rpartition("--- step ")[2].partition("\n")[2].strip()
