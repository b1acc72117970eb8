"""What a person reads when a command is done: tables, samples, and the next thing to type."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from minitx.folder import SAMPLES, SUMMARY
from minitx.run import Run

SHOWN_METRICS = ("loss", "bits_per_byte", "perplexity", "accuracy")


def quiet_libraries() -> None:
    """Keeps what Lightning and W&B say of themselves out of what we say."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("WANDB_SILENT", "true")


def run_folder(run: Run) -> Path:
    """The folder of a run that was opened from its checkpoints."""
    return run.path.parent.parent


def show_run(run: Run) -> None:
    """A finished run: its figures, a sample of what it writes, where it lies, what to do next."""
    folder = run_folder(run)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    console = Console()
    console.print(_title(summary), highlight=False)
    console.print(metrics_table(summary["metrics"]))
    sample = _last_sample(folder)
    if sample:
        console.print(Panel(Text(sample), title="what it writes now", title_align="left"))
    prompt = ' prompt="ROMEO:"' if "shakespeare" in summary["task"] else ""
    commands = [
        f"python scripts/generate.py run={folder}{prompt}",
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
    for name in SHOWN_METRICS:
        values = [metrics.get(f"{split}/{name}") for split in splits]
        table.add_row(_label(name), *["" if v is None else f"{v:.4f}" for v in values])
    return table


def show_evaluation(run: Run, metrics: dict[str, float]) -> None:
    """The metrics of one split."""
    console = Console()
    console.print(f"{run.config.model.name} in {run.path}, {run.step:,} steps", highlight=False)
    console.print(metrics_table(metrics))


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
    for column in ("parameters", "val loss", "bits/byte", "tokens/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for folder, words in runs:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        metrics = summary["metrics"]
        own = " ".join(word for word in words if word not in common)
        table.add_row(
            own or f"model={summary['model']} seed={summary['seed']}",
            f"{summary['parameters']:,}",
            f"{metrics['val/loss']:.4f}",
            f"{metrics['val/bits_per_byte']:.4f}",
            f"{summary['tokens_per_second']:,.0f}",
        )
    console = Console()
    console.print(table)
    for folder, _ in runs:
        console.print(f"  {folder}", highlight=False, soft_wrap=True)


def _longer(run: Run, summary: dict[str, Any]) -> str:
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


def _label(name: str) -> str:
    return {"loss": "loss (nats/token)", "bits_per_byte": "bits per byte"}.get(name, name)


def _last_sample(folder: Path) -> str:
    path = folder / SAMPLES
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8").rpartition("--- step ")[2].partition("\n")[2].strip()
