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
        f"python scripts/train.py resume={folder} trainer.max_steps={2 * summary['steps']}",
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


def show_runs(folders: list[Path]) -> None:
    """Several runs beside each other, as a multirun leaves them."""
    table = Table(title=f"{len(folders)} runs", title_justify="left")
    table.add_column("model", no_wrap=True)
    for column in ("seed", "parameters", "val loss", "bits/byte", "tokens/s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for folder in folders:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        metrics = summary["metrics"]
        table.add_row(
            summary["model"],
            str(summary["seed"]),
            f"{summary['parameters']:,}",
            f"{metrics['val/loss']:.4f}",
            f"{metrics['val/bits_per_byte']:.4f}",
            f"{summary['tokens_per_second']:,.0f}",
            str(folder),
        )
    Console().print(table)


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
