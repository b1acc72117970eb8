"""A page of tables in Markdown."""

import re
from collections.abc import Sequence

from minitx.inspection.tables import Page, Table, grid_of


def to_markdown(page: Page) -> str:
    """Return the page in GitHub's Markdown."""
    blocks = [f"# {_plain(page.title)}"]
    for section in page.sections:
        blocks += [f"## {_plain(section.title)}", *map(_plain, section.notes)]
        for step in section.steps:
            blocks += [f"### {_plain(step.title)}", *_fenced(step.formulas)]
            blocks += map(_markdown_table, step.tables)
            blocks += _fenced(step.worked)
    return "\n\n".join(blocks) + "\n"


def _markdown_table(table: Table) -> str:
    grid = grid_of(table)
    lines = [
        [table.name, *grid.columns],
        *([label, *(c.text for c in row)] for label, row in grid.rows),
    ]
    written = ["| " + " | ".join(map(_plain, line)) + " |" for line in lines]
    rule = "| --- |" + " ---: |" * len(grid.columns)
    return "\n".join([written[0], rule, *written[1:]])


def _plain(text: str) -> str:
    """Return text with a backslash before every character that has a meaning in Markdown."""
    return re.sub(r"([\\`*_\[\]<>&|~$])", r"\\\1", text)


def _fenced(lines: Sequence[str]) -> list[str]:
    """Return the lines in a code block, or no block if there are none."""
    return ["\n".join(["```text", *lines, "```"])] if lines else []
