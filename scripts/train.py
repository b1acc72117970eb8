"""Trains a model on a task: python scripts/train.py --help"""

from pathlib import Path

from minitx.cli import main
from minitx.config import Config


def train(config: Config, overrides: list[str]) -> tuple[Path, list[str]]:
    from minitx.composition import resumed
    from minitx.console import quiet_libraries, show_run
    from minitx.folder import launched_by_lightning
    from minitx.training import train as train_run

    quiet_libraries()
    if config.resume is not None:
        config = resumed(config, overrides)
    run = train_run(config)
    if not launched_by_lightning():
        show_run(run)
    return run.folder, overrides


def compare(runs: list[tuple[Path, list[str]]]) -> None:
    from minitx.console import show_runs

    show_runs(runs)


if __name__ == "__main__":
    main("config", Config, train, compare)
