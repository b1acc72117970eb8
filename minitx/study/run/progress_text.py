"""What a person reads when a study is done: in the terminal, and in W&B."""

from pathlib import Path

from rich.console import Console

from minitx.config.schema import LoggerConfig
from minitx.study.formatting import at
from minitx.study.report.report import Report
from minitx.study.results.conditions import plain
from minitx.study.results.results import FAILED, FINISHED, Results


def tell(results: Results, report: Report, folder: Path) -> None:
    """The answer in a few sentences, what is missing, and where the report lies."""
    console = Console()
    console.print(results.study.question, style="bold", highlight=False, markup=False)
    for sentence in report.answer:
        console.print(f"  {sentence}", highlight=False, markup=False)
    lacking = results.runs[results.runs["status"] != FINISHED]
    for _, run in lacking.iterrows():
        why = f": {run['reason']}" if run["reason"] else ""
        place = [at(axis, plain(run[axis])) for axis in results.axes]
        name = ", ".join([run["arm"], *place, f"seed {run['seed']}"])
        console.print(f"  {run['status']}: {name}{why}", highlight=False, markup=False)
    if failed := list(dict.fromkeys(lacking.loc[lacking["status"] == FAILED, "folder"])):
        files = " ".join(f"{folder}.failed.json" for folder in failed)
        again = f"  What failed is tried again once this is deleted: {files}"
        console.print(again, highlight=False, soft_wrap=True, markup=False)
    if results.preset == "quick":
        console.print("This is the quick preset: preset=full is the one to quote.")
    console.print("The report:")
    for name in ("report.html", "report.md", "runs.csv"):
        console.print(f"  {folder / name}", highlight=False, soft_wrap=True, markup=False)


def publish(results: Results, folder: Path, logger: LoggerConfig) -> None:
    """Puts the report beside the study's runs in W&B: the table of runs, and the figures.

    It is a run of its own in their group; nothing is done where another tracker was asked for.
    """
    if logger.name != "wandb":
        return
    import wandb

    with wandb.init(
        project=logger.project,
        group=logger.group or folder.name,
        name="report",
        dir=folder.resolve(),  # W&B's own process may work in another directory
        mode="online" if logger.mode == "online" else "offline",
        settings=wandb.Settings(silent=True),
    ) as run:
        run.log({"runs": wandb.Table(dataframe=results.runs)})
        for picture in sorted((folder / "figures").glob("*.png")):
            run.log({picture.stem: wandb.Image(str(picture))})
