"""What a person reads when a study is done."""

from pathlib import Path

from rich.console import Console

from minitx.study.results import FINISHED, Results
from minitx.study.sections import sections_of


def tell(results: Results, folder: Path) -> None:
    """The answer in a few sentences, what is missing, and where the report lies."""
    console = Console()
    console.print(results.study.question, style="bold", highlight=False)
    for section in sections_of(results):
        for sentence in section.sentences[: section.answers]:
            console.print(f"  {sentence}", highlight=False, markup=False)
    missing = results.runs[results.runs["status"] != FINISHED]
    for _, run in missing.iterrows():
        why = f": {run['reason']}" if run["reason"] else ""
        console.print(f"  {run['status']}: {run['arm']}, seed {run['seed']}{why}", markup=False)
    if results.preset == "quick":
        console.print("This is the quick preset: preset=full is the one to quote.")
    console.print("The report:", highlight=False)
    for name in ("report.html", "report.md", "runs.csv"):
        console.print(f"  {folder / name}", highlight=False, soft_wrap=True, markup=False)
