"""Answers a question with a grid of runs: python scripts/compare.py --help"""

from minitx.cli import main
from minitx.config import CompareConfig


def compare(config: CompareConfig, overrides: list[str]) -> None:
    from minitx.console import quiet_libraries
    from minitx.study.compare import compare as compare_models
    from minitx.study.launching import command, do_asked_run, launch

    quiet_libraries()
    if config.only is not None:
        do_asked_run(config)
    else:
        compare_models(config, overrides, command(overrides), launch)


if __name__ == "__main__":
    main("compare", CompareConfig, compare)
