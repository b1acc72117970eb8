"""Measure a trained model without each of its heads."""

from minitx.commands.cli import main as run_command
from minitx.commands.console import loading
from minitx.commands.evaluate import check_evaluation
from minitx.config.schema import ImportanceConfig
from minitx.training.environment import quiet_libraries


def main() -> None:
    """Run scripts/head_importance.py with the command line of this process."""
    run_command("importance", ImportanceConfig, importance)


def importance(config: ImportanceConfig, overrides: list[str]) -> None:
    """Measure the heads of a run, write the figures into its folder, and print them."""
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.importance import importance_of_run, show_importance

    quiet_libraries()
    show_importance(*importance_of_run(config))
