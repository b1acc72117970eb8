"""Refuse what is not a run, or a run with another objective, before torch is imported."""

from pathlib import Path

from minitx.config.command_line import command_line
from minitx.config.compose import read_config
from minitx.config.schema import Config
from minitx.config.tasks import ObjectiveSpec
from minitx.errors import UserError
from minitx.runs.paths import CONFIG, find_checkpoint


def check_run(
    path: str | None, objective: ObjectiveSpec | None = None, *, key: str = "run"
) -> Path:
    """Return the checkpoint that a key names.

    Raises UserError if no run was named, if it has no checkpoint, or if the config in its folder
    has another objective.
    """
    if path is None:
        raise UserError("no run given: set run=<a run's folder or .ckpt file>")
    file = find_checkpoint(Path(path), key=key)
    config = config_of(path)
    if objective is not None and config is not None:
        check_objective(path, config, objective)
    return file


def check_objective(path: str, config: Config, objective: ObjectiveSpec) -> None:
    """Refuse a run whose objective is not the command's. Raises UserError."""
    found = config.task.objective
    if found != objective:
        raise UserError(
            f"{path} is a run of {found} (task={config.task.name}), and this is for "
            f"{objective}: use {command_line(found.command, f'run={path}')}"
        )


def config_of(path: str) -> Config | None:
    """Return the config in a run's folder, or None for a file: the checkpoint has its own."""
    file = Path(path, CONFIG)
    try:
        return read_config(file) if file.is_file() else None
    except UserError:
        return None
