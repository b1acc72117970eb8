"""Train a model on a task."""

from pathlib import Path

from minitx.commands.cli import main as run_command
from minitx.commands.console import loading, show_run, show_runs
from minitx.config.compose import resumed
from minitx.config.schema import Config
from minitx.runs.paths import launched_by_lightning
from minitx.training.checks import check_training


def main() -> None:
    """Run scripts/train.py with the command line of this process."""
    run_command("config", Config, train, show_runs)


def train(config: Config, overrides: list[str]) -> tuple[Path, list[str]]:
    """Train a run and print what came of it; return its folder and its own overrides."""
    if config.resume is not None:
        config = resumed(config, overrides)
    check_training(config)
    with loading(f"torch and the corpus {config.task.name}"):
        from minitx.training.train import train as train_run

    run = train_run(config)
    if not launched_by_lightning():
        show_run(run)
    return run.folder, overrides
