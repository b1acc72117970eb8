"""A page of tables as text, for a terminal or a file."""

import io
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from minitx.inspection.tables import Page, Table, cut, grid_of
from minitx.terminal.console import Console
from minitx.terminal.text import printable

PAGE_WIDTH = 100  # characters; only the widest scripts need more
INDENT, GUTTER = 2, 3  # spaces before the tables of a step, and between them
MANY = 8  # columns; if there are more, they are closer together


def to_text(page: Page, encoding: str = "utf-8") -> str:
    """Return the page without colours, and without spaces at the ends of lines.

    Its lines are drawn with characters that the encoding has.
    """
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    write_text(page, Console(file=file, width=PAGE_WIDTH))
    file.seek(0)
    return "".join(f"{line.rstrip()}\n" for line in file)


def write_text(page: Page, console: Console) -> None:
    """Print the page with colours, and lines filled with spaces up to the width of the console.

    If a table is wider than the console, the width of the console is set to that of the table.
    """
    tables = [t for section in page.sections for step in section.steps for t in step.tables]
    console.width = max(console.width, INDENT + max(map(_width, map(_rich_table, tables))))
    console.print(_text(page.title, "bold"))
    for section in page.sections:
        console.print(Group("", _text(section.title, "bold underline"), *map(_text, section.notes)))
        for step in section.steps:
            formulas = [_text(line, "cyan") for line in step.formulas]
            worked: list[RenderableType] = [_text(line, "dim") for line in step.worked]
            if worked:
                worked.insert(0, "")
            lines = _side_by_side([_rich_table(table) for table in step.tables], console.width)
            console.print(Group("", _text(step.title, "bold")))
            console.print(Padding(Group(*formulas, *lines, *worked), (0, 0, 0, INDENT)))


def _text(line: str, style: str = "") -> Text:
    return Text(printable(line), style)


def _side_by_side(tables: Sequence[RichTable], room: int) -> Iterator[RenderableType]:
    """Yield lines of as many tables as fit, with an empty line before each."""
    lines: list[list[RichTable]] = []
    left = 0
    for table in tables:
        width = _width(table) + GUTTER
        if width > left:
            lines.append([])
            left = room
        lines[-1].append(table)
        left -= width
    for line in lines:
        grid = RichTable.grid(padding=(0, GUTTER, 0, 0))
        grid.add_row(*line)
        yield Padding(grid, (1, 0, 0, 0))


def _width(table: RichTable) -> int:
    unbounded = Console(width=10_000)
    return Measurement.get(unbounded, unbounded.options, table).maximum


def _rich_table(table: Table) -> RichTable:
    grid = grid_of(table)
    many_tokens = table.columns is not None and len(grid.columns) > MANY
    longest, gap = (5, 0) if many_tokens else (7, 1)  # characters of a label, spaces after it
    drawn = RichTable(
        title=Text(table.name, "italic"),
        title_justify="left",
        min_width=cell_len(table.name),
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    drawn.add_column("", no_wrap=True)
    for label in cut(grid.columns, longest):
        drawn.add_column(Text(label), justify="right", no_wrap=True)
    for label, cells in grid.rows:
        drawn.add_row(Text(label), *(Text(cell.text) for cell in cells))
    return drawn
