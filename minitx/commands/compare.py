"""Answer a question with a study: a grid of runs and a report."""

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.config.schema import CompareConfig
from minitx.training.environment import quiet_libraries


def compare(config: CompareConfig, overrides: list[str]) -> None:
    """Train and measure the runs of a study, and write its report.

    With `only`, do one run of the study and write no report.
    """
    from minitx.study.run.checks import check_comparison

    definition = check_comparison(config, overrides) if config.only is None else None
    with loading(f"torch and the study {config.study.name}"):
        from minitx.study.run.compare import run_and_report
        from minitx.study.run.launching import command, do_asked_run, launch

    quiet_libraries()
    if definition is None:
        do_asked_run(config, overrides)
    else:
        run_and_report(config, definition, command(overrides), launch)


COMMAND = Command(
    name="compare",
    summary="Answer a question with a study: train a grid of runs and write a report.",
    function=compare,
    schema=CompareConfig,
    config="compare",
    examples=(
        ("study=architectures", "attention against recurrence, in minutes"),
        ("study=architectures task=cmudict preset=full", ""),
        ("study=heads report_only=true", "write the report again"),
        ("study=distance task=recall", "how far back each model remembers"),
        ("study=mixer model.dim=64", "a key of all runs"),
        ("study=heads hydra/launcher=joblib hydra.launcher.n_jobs=2", ""),
    ),
    groups=("study", "task", "optimizer", "trainer", "logger", "experiment"),
)
