"""Measures a trained model without each of its heads: python scripts/head_importance.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading, quiet_libraries
from minitx.config.schema import ImportanceConfig
from minitx.runs.checks import check_evaluation


def importance(config: ImportanceConfig, overrides: list[str]) -> None:
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.importance import importance_of_run, show_importance

    quiet_libraries()
    show_importance(*importance_of_run(config))


if __name__ == "__main__":
    main("importance", ImportanceConfig, importance)
