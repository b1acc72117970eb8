"""Shows what a trained model attends to: python scripts/inspect_attention.py --help"""

from minitx.cli import main
from minitx.config import InspectConfig


def inspect(config: InspectConfig, overrides: list[str]) -> None:
    from minitx.inspection.report import inspect_run, show_inspection

    show_inspection(*inspect_run(config))


if __name__ == "__main__":
    main("inspect", InspectConfig, inspect)
