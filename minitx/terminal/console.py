"""Rich's console for text that may contain anything."""

from typing import Any

import rich.console
from rich.measure import Measurement
from rich.progress import TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from minitx.terminal.text import printable

UNBOUNDED = 10_000  # columns


class Console(rich.console.Console):
    """A console that takes every string as text.

    Brackets are not markup, `:name:` is not an emoji, and characters that are not drawn are
    escaped (`printable`). This covers strings in tables as well. Rich reads markup in the titles
    of its panels and in the texts of its spinners, so these must be `Text`, as `render_str` returns
    it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)

    def print_table(self, table: Table) -> None:
        """Print a table whose text is broken only between words, and whose numbers are whole.

        Numbers are in columns that are justified to the right. If the table does not fit, its lines
        are longer than those of the console.
        """
        unbounded = self.options.update(max_width=UNBOUNDED)
        for column in table.columns:
            cells = (column.header, *column.cells)
            widths = [Measurement.get(self, unbounded, cell) for cell in cells]
            column.no_wrap = column.justify == "right"
            column.min_width = max(
                each.maximum if column.no_wrap else each.minimum for each in widths
            )
        width = self.width
        self.width = max(width, Measurement.get(self, unbounded, table).minimum)
        self.print(table, crop=False)
        self.width = width

    def print_between_rules(self, text: str, title: str) -> None:
        """Print a text as it is, below a titled line and above another.

        There is no border to the right of it. Terminals disagree on the widths of characters, so
        it would not be straight.
        """
        line = "-" if self.options.ascii_only else "─"
        self.print(Rule(self.render_str(title), characters=line, align="left"))
        self.print(text, soft_wrap=True)
        self.print(Rule(characters=line))

    @property
    def spinner(self) -> str:
        """The name of a spinner whose characters the console has."""
        return "line" if self.options.ascii_only else "dots"


def text_column(text_format: str, style: str = "none") -> TextColumn:
    """Return a column of a progress bar that takes its values as text."""
    return TextColumn(text_format, style, markup=False)
