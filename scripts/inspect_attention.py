"""Shows what a trained model attends to: python scripts/inspect_attention.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading
from minitx.config.schema import InspectConfig
from minitx.runs.checks import check_inspection


def inspect(config: InspectConfig, overrides: list[str]) -> None:
    check_inspection(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.report import inspect_run, show_inspection

    show_inspection(*inspect_run(config))


if __name__ == "__main__":
    main("inspect", InspectConfig, inspect)
