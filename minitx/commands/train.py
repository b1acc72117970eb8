"""Train a model on a task."""

from pathlib import Path

from minitx.commands.command import Command
from minitx.commands.console import loading, show_run, show_runs
from minitx.config.compose import resumed
from minitx.config.schema import Config
from minitx.runs.paths import launched_by_lightning
from minitx.training.checks import check_training
from minitx.training.environment import end_with_parent


def train(config: Config, overrides: list[str]) -> tuple[Path, list[str]]:
    """Train a run and print its results. Return its folder and its overrides."""
    if config.resume is not None:
        config = resumed(config, overrides)
    check_training(config)
    if launched_by_lightning():
        end_with_parent()  # else it would train on when the first process was killed
    with loading(f"torch and the corpus {config.task.name}"):
        from minitx.training.train import train as train_run

    run = train_run(config)
    if not launched_by_lightning():
        show_run(run)
    return run.folder, overrides


COMMAND = Command(
    name="train",
    summary="Train a model on a task: continue a text, translate pairs, or classify texts.",
    function=train,
    schema=Config,
    config="config",
    examples=(
        ("", "the default: minutes on 2 CPU cores"),
        ("model=lstm", "the same with an LSTM"),
        ("model.heads=8 trainer.max_steps=500", ""),
        ("task=text data.path=my.txt", "your own text"),
        ("task=cmudict", "spelling to phonemes"),
        ("task=cmudict model=lstm model.attention=additive", ""),
        ("task=genre", "the genre of the play a speech is from"),
        ("task=pairs data.path=my.tsv", "your own pairs; task=labels likewise"),
        ("-m model=transformer,lstm seed=1,2,3", ""),
        ("resume=runs/...", "continue a run"),
    ),
    groups=("task", "model", "optimizer", "trainer", "logger", "experiment"),
    conclude=show_runs,
)
