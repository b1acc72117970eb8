"""Tables of labelled numbers beside their formulas, and what of them is shown.

`tables_text`, `tables_markdown` and `tables_html` write them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from minitx.inspection.token_labels import visible

MOST_TOKENS, MOST_FEATURES = 12, 8  # that a table shows; the first and last ones, the first ones
FEW_COLUMNS = 4  # leave room for more decimals
LONGEST_LABEL = 12  # characters
GAP, MASKED = "…", "–"


@dataclass(frozen=True)
class Table:
    """Numbers (rows, columns), a label a row.

    Columns are tokens where `columns` holds their labels, else features, counted from `first`.
    `allowed` is False for what a mask hides. `weights` are drawn as such, with each row's sum,
    which includes what is not shown.
    """

    name: str
    rows: Sequence[str]
    values: Tensor
    columns: Sequence[str] | None = None
    first: int = 1
    allowed: Tensor | None = None
    weights: bool = False

    @property
    def decimals(self) -> int:
        """Places behind the point: none where all numbers are whole, fewer in wide tables."""
        counted = self.values if self.allowed is None else self.values[self.allowed]
        if bool((counted == counted.round()).all()):
            return 0
        width = self.values.size(1)
        if width <= FEW_COLUMNS:
            return 4
        return 3 if self.weights or width <= MOST_FEATURES or self.columns is None else 2


@dataclass(frozen=True)
class Step:
    """What is done, by which formulas, what came of it, and numbers worked out in full."""

    title: str
    formulas: Sequence[str]
    tables: Sequence[Table]
    worked: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """Steps that follow from one another, and what is to be said of them first."""

    title: str
    notes: Sequence[str]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Page:
    """All that is shown."""

    title: str
    sections: Sequence[Section]


def shown(count: int, most: int, *, ends: bool) -> list[int | None]:
    """Which of `count` things are shown, None for a gap: the first ones, or as many from each end.

    >>> shown(9, 4, ends=True)
    [0, 1, None, 7, 8]
    """
    if count <= most:
        return list(range(count))
    last = most // 2 if ends else 0
    return [*range(most - last), None, *range(count - last, count)]


def label_of(token: str) -> str:
    """A token as the label of a row or a column: all of it can be seen, and a long one is cut."""
    return cut(visible(token), LONGEST_LABEL)


def cut(label: str, length: int) -> str:
    return label if len(label) <= length else label[: length - 1] + GAP


def number(value: float, decimals: int) -> str:
    """A number with so many decimals, and no sign before a zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


@dataclass(frozen=True)
class Cell:
    text: str
    share: float | None = None  # of the row, where it is a weight


@dataclass(frozen=True)
class Grid:
    """What is shown of a table: labels of columns, and rows of a label and cells."""

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


def grid_of(table: Table) -> Grid:
    tokens = table.columns is not None
    across = shown(table.values.size(1), MOST_TOKENS if tokens else MOST_FEATURES, ends=tokens)
    labels = table.columns or [str(table.first + i) for i in range(table.values.size(1))]

    def cells(row: int | None) -> Iterator[Cell]:
        for column in across:
            if row is None or column is None:
                yield Cell(GAP)
            elif table.allowed is not None and not table.allowed[row, column]:
                yield Cell(MASKED)
            else:
                value = float(table.values[row, column])
                yield Cell(number(value, table.decimals), value if table.weights else None)
        if table.weights:
            yield Cell(GAP if row is None else number(float(table.values[row].sum()), 4))

    return Grid(
        [GAP if i is None else labels[i] for i in across] + ["sum"] * table.weights,
        [
            (GAP if row is None else table.rows[row], list(cells(row)))
            for row in shown(len(table.rows), MOST_TOKENS, ends=True)
        ],
    )
