"""Tell the user about a finished study, in the terminal and in W&B."""

from pathlib import Path

from minitx.config.schema import LoggerConfig
from minitx.study.report.report import Report
from minitx.study.results.axes import at
from minitx.study.results.conditions import plain
from minitx.study.results.results import FAILED, FINISHED, Results
from minitx.terminal.console import Console
from minitx.terminal.text import note, say
from minitx.training.trackers import (
    PATIENCE,
    disconnect_wandb,
    prepare_wandb,
    reason,
    within,
)
from minitx.training.wandb_runs import wandb_settings


def show(results: Results, report: Report, folder: Path) -> None:
    """Print the answer, the runs that are missing, and the files of the report."""
    console = Console()
    console.print(results.study.question, style="bold")
    for sentence in report.answer:
        console.print(f"  {sentence}")
    lacking = results.runs[results.runs["status"] != FINISHED]
    for _, run in lacking.iterrows():
        why = f": {run['reason']}" if run["reason"] else ""
        place = [at(axis, plain(run[axis])) for axis in results.axes]
        name = ", ".join([run["arm"], *place, f"seed {run['seed']}"])
        console.print(f"  {run['status']}: {name}{why}")
    if failed := list(dict.fromkeys(lacking.loc[lacking["status"] == FAILED, "folder"])):
        files = " ".join(f"{folder}.failed.json" for folder in failed)
        say(f"  To try failed runs again, delete: {files}")
    if results.preset == "quick":
        say("This is the quick preset; for figures to quote, use preset=full.")
    say("The report:")
    for name in ("report.html", "report.md", "runs.csv"):
        say(f"  {folder / name}")


def publish(results: Results, folder: Path, logger: LoggerConfig) -> None:
    """Log the table of runs and the figures to W&B, as a run in the group of the study's runs.

    Nothing happens with another logger.
    """
    if logger.name != "wandb":
        return
    try:
        within(PATIENCE, lambda: _publish(results, folder, logger))
    except Exception as error:
        note(f"W&B failed ({reason(error)}): the report is not in it")
        disconnect_wandb()


def _publish(results: Results, folder: Path, logger: LoggerConfig) -> None:
    import wandb

    prepare_wandb()
    with wandb.init(
        project=logger.project,
        group=logger.group or folder.name,
        name="report",
        job_type="report",
        tags=[*logger.tags, folder.name],
        dir=folder.resolve(),  # W&B's own process may work in another directory
        mode="online" if logger.mode == "online" else "offline",
        settings=wandb.Settings(**wandb_settings()),
        reinit="create_new",
    ) as run:
        run.log({"runs": wandb.Table(dataframe=results.runs)})
        for picture in sorted((folder / "figures").glob("*.png")):
            run.log({picture.stem: wandb.Image(str(picture))})
