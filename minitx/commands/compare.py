"""Answer a question with a grid of runs."""

from minitx.commands.cli import main as run_command
from minitx.commands.console import loading
from minitx.config.schema import CompareConfig
from minitx.training.environment import quiet_libraries


def main() -> None:
    """Run scripts/compare.py with the command line of this process."""
    run_command("compare", CompareConfig, compare)


def compare(config: CompareConfig, overrides: list[str]) -> None:
    """Train and measure the runs of a study, and write its report."""
    from minitx.study.run.checks import check_comparison

    definition = check_comparison(config, overrides) if config.only is None else None
    with loading(f"torch and the study {config.study.name}"):
        from minitx.study.run.compare import compare as compare_models
        from minitx.study.run.launching import command, do_asked_run, launch

    quiet_libraries()
    if definition is None:
        do_asked_run(config)
    else:
        compare_models(config, definition, command(overrides), launch)
