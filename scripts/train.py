"""Trains a model on a text: python scripts/train.py --help"""

from minitx.cli import main
from minitx.config import Config


def train(config: Config, overrides: list[str]) -> None:
    from minitx.composition import resumed
    from minitx.console import quiet_libraries, show_run
    from minitx.training import train as train_run

    quiet_libraries()
    if config.resume is not None:
        config = resumed(config, overrides)
    show_run(train_run(config))


if __name__ == "__main__":
    main("config", Config, train)
