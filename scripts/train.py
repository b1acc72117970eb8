"""Trains a model on a task: python scripts/train.py --help"""

from pathlib import Path

from minitx.commands.cli import main
from minitx.commands.console import loading, quiet_libraries, show_run, show_runs
from minitx.config.compose import resumed
from minitx.config.schema import Config
from minitx.runs.checks import check_training
from minitx.runs.paths import launched_by_lightning


def train(config: Config, overrides: list[str]) -> tuple[Path, list[str]]:
    if config.resume is not None:
        config = resumed(config, overrides)
    check_training(config)
    with loading(f"torch and the corpus {config.task.name}"):
        from minitx.training.train import train as train_run

    quiet_libraries()
    run = train_run(config)
    if not launched_by_lightning():
        show_run(run)
    return run.folder, overrides


if __name__ == "__main__":
    main("config", Config, train, show_runs)
