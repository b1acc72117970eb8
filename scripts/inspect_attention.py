"""Shows what a trained model attends to: python scripts/inspect_attention.py --help"""

from minitx.checks import check_inspection
from minitx.cli import main
from minitx.config import InspectConfig
from minitx.console import loading


def inspect(config: InspectConfig, overrides: list[str]) -> None:
    check_inspection(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.report import inspect_run, show_inspection

    show_inspection(*inspect_run(config))


if __name__ == "__main__":
    main("inspect", InspectConfig, inspect)
