"""All there is to see of a model and a text, written into its run's folder and told."""

import dataclasses
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from minitx.config.schema import InspectConfig
from minitx.drawing.figures import png, svg
from minitx.errors import UserError
from minitx.inspection.grid import attention_grid
from minitx.inspection.induction import induction_score
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.measures import HeadMeasures, measure_heads
from minitx.inspection.page import page
from minitx.inspection.reading import inspect_text
from minitx.inspection.token_labels import visible
from minitx.runs.atomic_write import write_atomically, write_bytes_atomically
from minitx.runs.run import Run, load

COLUMNS = {
    "entropy": "entropy\n(nats)",
    "distance": "distance\n(tokens)",
    "first": "on\nfirst",
    "previous": "on\nprevious",
    "same": "on\nitself",
    "induction": "induction",
}


def inspect_run(config: InspectConfig) -> tuple[AttentionMaps, list[HeadMeasures], list[Path]]:
    """Reads a text with the run's model, and writes what it attended to.

    attention.html is the page, attention.png and .svg the pictures, attention.safetensors and
    .json the maps as data; of a model without attention there is no picture. Gives the maps, the
    measures of every head, and the files. Raises UserError where the folder cannot be written, and
    as `inspect_text`.
    """
    assert config.run is not None
    run = load(config.run, config.device)
    maps = _read(run, config)
    # The layers and heads asked for are the first run's: the other may have none of those numbers.
    whole = dataclasses.replace(config, layers=None, heads=None)
    other = None if config.other is None else _read(load(config.other, config.device), whole)
    folder = run.folder if config.dir is None else Path(config.dir)
    shown, figure = page(maps, other), attention_grid(maps) if maps else None
    files = [folder / "attention.html"]
    try:
        write_atomically(files[0], shown)
        files += maps.save(folder)
        if figure is not None:
            files += [folder / "attention.png", folder / "attention.svg"]
            write_bytes_atomically(files[-2], png(figure))
            write_atomically(files[-1], svg(figure))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): say where: dir="
        ) from error
    return maps, measure_heads(maps.maps, _induction(run)), files


def _read(run: Run, config: InspectConfig) -> AttentionMaps:
    assert config.text is not None
    return inspect_text(
        run,
        config.text,
        layers=config.layers,
        heads=config.heads,
        truncate=config.truncate,
        output=config.target,
    )


def _induction(run: Run) -> dict[str, Tensor] | None:
    """The heads' scores, where the model is one that could have such heads."""
    if not run.config.task.objective.windows:
        return None
    try:
        return induction_score(run.model, run.tokenizer.vocab_size)
    except UserError:  # no attention, or no room for a repetition
        return None


def show_inspection(maps: AttentionMaps, heads: list[HeadMeasures], files: list[Path]) -> None:
    """The table of heads, and where everything lies."""
    console = Console()
    lines = [visible(maps.title, blanks=" ")]
    if output := maps.about.get("output"):
        lines.append(f"{maps.output_name}: {visible(output, blanks=' ' if output.strip() else '')}")
    lines += [f"note: {note}" for note in maps.about.get("notes", [])]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    rows = [asdict(head) for head in heads]
    shown = [name for name in COLUMNS if any(row[name] is not None for row in rows)]
    if rows:
        # Narrow enough for 80 columns with every measure there is.
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("attention", no_wrap=True)
        table.add_column("head")
        for name in shown:
            table.add_column(COLUMNS[name], justify="right")
        for row in rows:
            values = [row[name] for name in shown]
            numbers = ["" if value is None else f"{value:.3f}" for value in values]
            table.add_row(row["name"], str(row["head"]), *numbers)
        console.print(table)
    for file in files:
        console.print(f"  {file}", highlight=False, soft_wrap=True, markup=False)
