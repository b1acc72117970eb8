"""The parts of a study's report, by name: each a table, a figure of it, and what it says in words.

A section is made from `Results` alone, so that a report can be drawn again at any time. It is None
where the study has nothing for it to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from minitx.config.keys import nearest
from minitx.config.tasks import TASKS
from minitx.errors import UserError

if TYPE_CHECKING:  # the names of the sections are checked before these are imported
    import pandas as pd
    from matplotlib.figure import Figure

    from minitx.study.results.results import Results


@dataclass(frozen=True)
class Section:
    """A part of a report.

    `name` is that of its files, `table` the figure's data, under column names that people can read.
    Every sentence follows from the tables; the first `answers` of them stand at the top of the
    report as well. `more` holds further tables by their names, as "comparisons". `note` says how to
    read the figure, and what it does not show.
    """

    name: str
    title: str
    table: pd.DataFrame
    figure: Figure | None = None
    sentences: list[str] = field(default_factory=list)
    answers: int = 0
    more: dict[str, pd.DataFrame] = field(default_factory=dict)
    note: str = ""


def _in(module: str) -> Callable[[Results], Section | None]:
    """The function `section` of a module here, which is imported when it is needed."""

    def section(results: Results) -> Section | None:
        made: Section | None = import_module(f"{__name__}.{module}").section(results)
        return made

    return section


SECTIONS: dict[str, Callable[[Results], Section | None]] = {
    name: _in(name)
    for name in (
        *("quality", "axis", "crossover", "curves", "cost", "heads", "recall", "positions"),
        *("scaling", "tuning"),
    )
}


# The tasks that a section is made for, where it is not made for all.
ONLY_OF = {
    "recall": ["recall"],
    "positions": [name for name, task in TASKS.items() if task.objective.windows],
}


def check_names(names: Sequence[str]) -> None:
    """Raises UserError for a name that no section has."""
    for name in names:
        if name not in SECTIONS:
            hint = nearest(name, list(SECTIONS))
            raise UserError(
                f"study.sections names {name}, which there is not; there are "
                + ", ".join(SECTIONS)
                + (f": did you mean {hint}?" if hint else "")
            )


def check_task(names: Sequence[str], task: str) -> None:
    """Raises UserError for a section that is drawn from what runs of the task do not have."""
    for name in names:
        suited = ONLY_OF.get(name, [task])
        if task not in suited:
            raise UserError(
                f"study.sections names {name}, which does not suit task={task}: it may be one of "
                + ", ".join(suited)
            )


def sections_of(results: Results) -> list[Section]:
    """The sections that the study names, in its order, without those that have nothing to show.

    Raises UserError for a name that no section has.
    """
    check_names(results.study.sections)
    made = (SECTIONS[name](results) for name in results.study.sections)
    return [section for section in made if section is not None]
