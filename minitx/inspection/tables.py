"""Tables of labelled numbers with their formulas, and which parts of them are shown.

`tables_text`, `tables_markdown` and `tables_html` write them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from minitx.inspection.token_labels import visible

MOST_TOKENS, MOST_FEATURES = 12, 8  # in a table: the first and last tokens, the first features
FEW_COLUMNS = 4  # at most this many columns have room for more decimals
LONGEST_LABEL = 12  # characters
GAP, MASKED = "…", "–"


@dataclass(frozen=True)
class Table:
    """Numbers (rows, columns), with a label for each row.

    Columns are tokens if `columns` holds their labels, else features numbered from `first`.
    `allowed` is False for what a mask hides. A table of `weights` is coloured and shows the sum of
    each row, which includes the columns that are not shown.
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
        """The number of decimals: 0 if all numbers are whole, fewer in wide tables."""
        shown = self.values if self.allowed is None else self.values[self.allowed]
        if bool((shown == shown.round()).all()):
            return 0
        width = self.values.size(1)
        if width <= FEW_COLUMNS:
            return 4
        return 3 if self.weights or width <= MOST_FEATURES or self.columns is None else 2


@dataclass(frozen=True)
class Step:
    """One step: its formulas, its results, and a few numbers calculated in full."""

    title: str
    formulas: Sequence[str]
    tables: Sequence[Table]
    worked: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """Steps that follow from each other, and notes on them."""

    title: str
    notes: Sequence[str]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Page:
    """A title and sections, and what a browser lets readers change (see `scenes`), if anything."""

    title: str
    sections: Sequence[Section]
    scene: Mapping[str, Any] | None = None


def shown(count: int, most: int, *, ends: bool) -> list[int | None]:
    """Return which of `count` items are shown, with None for a gap.

    They are the first `most` items, or half of them from each end.

    >>> shown(9, 4, ends=True)
    [0, 1, None, 7, 8]
    """
    if count <= most:
        return list(range(count))
    last = most // 2 if ends else 0
    return [*range(most - last), None, *range(count - last, count)]


def labels_of(tokens: Sequence[str]) -> list[str]:
    """Return tokens as the labels of rows or columns: visible, and cut if they are long."""
    return cut(list(map(visible, tokens)), LONGEST_LABEL)


def cut(labels: Sequence[str], length: int) -> list[str]:
    """Return labels of at most `length` characters.

    Long ones lose their end. If they would look the same, they lose their middle instead.

    >>> cut(["attention", "lengthen", "lengthened"], 6)
    ['atten…', 'le…hen', 'le…ned']
    """
    short = {x: x if len(x) <= length else x[: length - 1] + GAP for x in labels}
    same = Counter(short.values())
    head = (length - 1) // 2
    return [
        short[x] if same[short[x]] == 1 else x[:head] + GAP + x[len(x) - length + head + 1 :]
        for x in labels
    ]


def number(value: float, decimals: int) -> str:
    """Return a number with this many decimals, and no sign before a zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and its value if it is a weight."""

    text: str
    share: float | None = None


@dataclass(frozen=True)
class Grid:
    """The visible part of a table: labels of columns, and rows of a label and cells."""

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


def grid_of(table: Table) -> Grid:
    """Return the visible part of a table."""
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
