"""Answers a question with a grid of runs: python scripts/compare.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading, quiet_libraries
from minitx.config.schema import CompareConfig


def compare(config: CompareConfig, overrides: list[str]) -> None:
    from minitx.study.run.checks import check_comparison

    if config.only is None:
        check_comparison(config, overrides)
    with loading(f"torch and the study {config.study.name}"):
        from minitx.study.run.compare import compare as compare_models
        from minitx.study.run.launching import command, do_asked_run, launch

    quiet_libraries()
    if config.only is not None:
        do_asked_run(config)
    else:
        compare_models(config, overrides, command(overrides), launch)


if __name__ == "__main__":
    main("compare", CompareConfig, compare)
