"""Measure a trained model on a whole split."""

from minitx.commands.command import Command
from minitx.commands.console import loading, show_evaluation
from minitx.config.compose import changed
from minitx.config.schema import EvaluateConfig, ImportanceConfig
from minitx.runs.checks import check_run, config_of
from minitx.tasks.requirements import check_corpus
from minitx.training.environment import quiet_libraries


def evaluate(config: EvaluateConfig, overrides: list[str]) -> None:
    """Measure a run, write the metrics into its folder, and print them."""
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.tasks.evaluation import evaluate as evaluate_run
        from minitx.tasks.evaluation import write_evaluation

    quiet_libraries()
    run, evaluation = evaluate_run(config)
    files = write_evaluation(run, config.split, evaluation)
    show_evaluation(run, config.split, evaluation, files)


def check_evaluation(config: EvaluateConfig | ImportanceConfig) -> None:
    """Raise UserError if the run or its corpus is missing."""
    check_run(config.run)
    assert config.run is not None
    stored = config_of(config.run)
    if stored is None:
        return
    stored.data = changed(stored.data, config.data)
    check_corpus(stored)


COMMAND = Command(
    name="evaluate",
    summary="Measure a trained model on a whole split.",
    function=evaluate,
    schema=EvaluateConfig,
    examples=(
        ("run=runs/... split=test", ""),
        ("run=runs/... split=test decoding.beam=10", ""),
    ),
)
