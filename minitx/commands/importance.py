"""Measure a trained model without each of its heads."""

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.commands.evaluate import check_evaluation
from minitx.config.schema import ImportanceConfig
from minitx.training.environment import quiet_libraries


def importance(config: ImportanceConfig, overrides: list[str]) -> None:
    """Measure the heads of a run, write the metrics into its folder, and print them."""
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.importance import importance_of_run, show_importance

    quiet_libraries()
    show_importance(*importance_of_run(config))


COMMAND = Command(
    name="importance",
    summary="Measure a trained model with each of its heads switched off.",
    function=importance,
    schema=ImportanceConfig,
    examples=(("run=runs/...", ""), ("run=runs/... prune=8", "")),
    script="head_importance",
)
