"""Inspect a model and a text: write everything into the run's folder, and print a summary."""

import dataclasses
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from minitx.config.schema import InspectConfig
from minitx.data.progress import announced
from minitx.errors import UserError
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.measures import HeadMeasures, measure_heads
from minitx.inspection.reading import inspect_text
from minitx.inspection.token_labels import visible
from minitx.runs.run import StoredRun
from minitx.terminal.console import Console
from minitx.terminal.text import say

COLUMNS = {
    "entropy": "entropy\n(nats)",
    "distance": "distance\n(tokens)",
    "first": "on\nfirst",
    "previous": "on\nprevious",
    "same": "on\nitself",
    "induction": "induction",
}


def inspect_run(config: InspectConfig) -> tuple[AttentionMaps, list[HeadMeasures], list[Path]]:
    """Read a text with the run's model, and write what the model attended to.

    attention.html is the page, attention.png and .svg are the pictures (if the model has
    attention), attention.safetensors and .json hold the maps as data. Returns the maps, the
    measures of every head, and the files. Raises UserError if the folder cannot be written, and as
    `inspect_text`.
    """
    assert config.run is not None
    run: StoredRun = StoredRun.open(config.run, config.device)
    maps = _read(run, config)
    # `layers` and `heads` are those of the first run: the others may not have these numbers.
    whole = dataclasses.replace(config, layers=None, heads=None)
    paths = {name: getattr(config, name) for name in ("other", "third")}
    others = [_read_other(name, path, whole) for name, path in paths.items() if path is not None]
    folder = run.folder if config.dir is None else Path(config.dir)
    with announced("drawing the maps"):
        files = _write(maps, folder, others)
    assert maps.findings is not None
    return maps, measure_heads(maps.maps, maps.findings.induction), files


def _read(run: StoredRun, config: InspectConfig) -> AttentionMaps:
    assert config.text is not None
    return inspect_text(
        run,
        config.text,
        layers=config.layers,
        heads=config.heads,
        truncate=config.truncate,
        output=config.target,
    )


def _write(maps: AttentionMaps, folder: Path, others: list[AttentionMaps]) -> list[Path]:
    """Write the files. An error names the key that chooses the folder."""
    try:
        return maps.write(folder, *others)
    except UserError as error:
        raise UserError(f"{error} with dir=") from error


def _read_other(key: str, path: str, config: InspectConfig) -> AttentionMaps:
    """Return the maps of the run that `key` names. The errors of its text name it, too."""
    run: StoredRun = StoredRun.open(path, config.device)
    try:
        return _read(run, config)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error


def show_inspection(maps: AttentionMaps, heads: list[HeadMeasures], files: list[Path]) -> None:
    """Print the title, the notes, the table of heads, and the files."""
    say(visible(maps.title, blanks=" "))
    if output := maps.about.get("output"):
        say(f"{maps.output_name}: {visible(output, blanks=' ' if output.strip() else '')}")
    for note in maps.about.get("notes", []):
        say(f"note: {note}")
    rows = [asdict(head) for head in heads]
    shown = [name for name in COLUMNS if any(row[name] is not None for row in rows)]
    if rows:
        # Narrow enough for 80 columns with every measure there is.
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("attention")
        table.add_column("head")
        for name in shown:
            table.add_column(COLUMNS[name], justify="right")
        means = {each.name for each in maps.maps if each.mean_of is not None}
        for row in rows:
            values = [row[name] for name in shown]
            numbers = ["" if value is None else f"{value:.3f}" for value in values]
            head = "mean" if row["name"] in means else str(row["head"])
            table.add_row(row["name"], head, *numbers)
        Console().print_table(table)
    for file in files:
        say(f"  {file}")
