"""Refuse what is not a run, or is a run of another objective, before torch is imported."""

from pathlib import Path

from minitx.config.command_line import command_line
from minitx.config.compose import read_config
from minitx.config.schema import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, Config
from minitx.errors import UserError
from minitx.runs.paths import CONFIG, find_checkpoint

# The command that uses a trained model of each objective.
COMMANDS = {
    LANGUAGE_MODELING: "generate",
    SEQUENCE_TO_SEQUENCE: "translate",
    CLASSIFICATION: "predict",
}


def check_run(path: str | None, objective: str | None = None) -> Path:
    """The checkpoint that `run=` means.

    Raises UserError where no run was named, it has no checkpoint, or its folder tells of another
    objective.
    """
    if path is None:
        raise UserError("which model? run=<a run's folder or .ckpt file>")
    file = find_checkpoint(Path(path))
    config = config_of(path)
    if objective is not None and config is not None:
        check_objective(path, config, objective)
    return file


def check_objective(path: str, config: Config, objective: str) -> None:
    """Refuses a run of another objective than the script's. Raises UserError."""
    found = config.task.objective
    if found != objective:
        raise UserError(
            f"{path} is a run of {found} (task={config.task.name}), and this is for "
            f"{objective}: use {command_line(COMMANDS[found], f'run={path}')}"
        )


def config_of(path: str) -> Config | None:
    """The config in a run's folder; None without a folder. The checkpoint is what counts."""
    file = Path(path, CONFIG)
    try:
        return read_config(file) if file.is_file() else None
    except UserError:
        return None
