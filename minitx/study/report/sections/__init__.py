"""The sections of a study's report: each has a table, a figure of it, and sentences about it.

To add a section, write a module here with a function `section(results)`, and add a line with its
name to SECTIONS. The function makes the section from `Results` alone, so that a report can be drawn
again at any time. It returns None if the study has nothing for the section to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from minitx.config.keys import one_of
from minitx.config.tasks import TASKS
from minitx.errors import UserError

if TYPE_CHECKING:  # the names of sections are checked before these are imported
    import pandas as pd
    from matplotlib.figure import Figure

    from minitx.study.results.results import Results


@dataclass(frozen=True)
class Section:
    """A section of a report.

    `name` is the name of its files. `table` is the data of the figure, with readable column names;
    `more` has further tables by name, such as "comparisons". All sentences follow from the tables.
    The first `answers` of them are also at the top of the report. `note` explains the figure and
    its limits. `finding` is what it shows, in a few words, if they are few.
    """

    name: str
    title: str
    table: pd.DataFrame
    figure: Figure | None = None
    sentences: list[str] = field(default_factory=list)
    answers: int = 0
    more: dict[str, pd.DataFrame] = field(default_factory=dict)
    note: str = ""
    finding: str = ""

    @property
    def heading(self) -> str:
        return f"{self.title}: {self.finding}" if self.finding else self.title

    @property
    def picture(self) -> str:
        """The file of the figure."""
        return f"figures/{self.name}.png"

    @property
    def tables(self) -> list[tuple[str, str, pd.DataFrame]]:
        """The tables with their files and names, the figure's data first."""
        more = [
            (f"figures/{self.name}_{name}.csv".replace("%", "").replace(" ", "_"), name, table)
            for name, table in self.more.items()
        ]
        return [(f"figures/{self.name}.csv", "values", self.table), *more]


@dataclass(frozen=True)
class SectionKind:
    """A section that reports may have, without its code.

    `tasks` are the tasks that it suits. `details` are the measurements that it needs in addition to
    the metrics, by their names in `minitx.study.measure.measuring.DETAILS`.
    """

    name: str
    details: Sequence[str] = ()
    tasks: Sequence[str] = tuple(TASKS)

    def __call__(self, results: Results) -> Section | None:
        made: Section | None = import_module(f"{__name__}.{self.name}").section(results)
        return made


TEXT_TASKS = [name for name, task in TASKS.items() if task.objective.windows]
LENGTH_TASKS = [name for name, task in TASKS.items() if "task.train_length" in task.keys]

SECTIONS = {
    kind.name: kind
    for kind in (
        SectionKind("quality"),
        SectionKind("axis"),
        SectionKind("crossover"),
        SectionKind("curves"),
        SectionKind("reaching"),
        SectionKind("seed_curves"),
        SectionKind("cost"),
        SectionKind("state"),
        SectionKind("heads", details=["heads", "pruning"]),
        SectionKind("success", details=["recall"], tasks=["recall"]),
        SectionKind("recall", details=["recall"], tasks=["recall"]),
        SectionKind("lengths", details=["lengths"], tasks=LENGTH_TASKS),
        SectionKind("doublings", details=["doublings"], tasks=TEXT_TASKS),
        SectionKind("positions", details=["positions"], tasks=TEXT_TASKS),
        SectionKind("carried", details=["carried"], tasks=TEXT_TASKS),
        SectionKind("scaling"),
        SectionKind("generation"),
        SectionKind("tuning"),
    )
}


def check_sections(names: Sequence[str], task: str | None = None) -> None:
    """Raise UserError for an unknown section, and for one that does not suit the task."""
    for name in names:
        if name not in SECTIONS:
            raise UserError(f"study.sections: there is no section {name}: {one_of(name, SECTIONS)}")
        if task and task not in SECTIONS[name].tasks:
            raise UserError(
                f"study.sections: {name} does not suit task={task}; it suits "
                + ", ".join(SECTIONS[name].tasks)
            )


def details_of(names: Sequence[str]) -> list[str]:
    """Return the details that the sections need, each once."""
    return list(dict.fromkeys(detail for name in names for detail in SECTIONS[name].details))


def sections_of(results: Results) -> list[Section]:
    """Return the study's sections in its order, without those that have nothing to show.

    Raises UserError for an unknown section.
    """
    check_sections(results.study.sections)
    made = (SECTIONS[name](results) for name in results.study.sections)
    return [section for section in made if section is not None]
