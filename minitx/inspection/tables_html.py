"""A page of tables for a browser: one file, which makes no request."""

import html
import re

from minitx.drawing.html import self_contained
from minitx.inspection.tables import GAP, MASKED, Cell, Page, Section, Step, Table, grid_of

STYLE = """\
:root { --weight: 37, 99, 235; }
@media (prefers-color-scheme: dark) { :root { --weight: 96, 165, 250; } }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 1.5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 0 0 0.5rem; }
p { margin: 0.25rem 0; color: var(--muted); max-width: 48rem; }
section section { margin: 1.25rem 0; padding: 1rem 1.25rem 1.25rem; background: var(--surface);
  border: 1px solid var(--line); border-radius: 8px; }
.formulas, .worked { font: 0.95rem/1.6 var(--mono); white-space: pre-wrap;
  overflow-wrap: anywhere; }
.worked { color: var(--muted); margin-top: 0.75rem; }
.worked + .worked { margin-top: 0; }
.tables { display: flex; flex-wrap: wrap; gap: 0.75rem 2rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
caption { text-align: left; font-style: italic; padding: 0.5rem 0 0.25rem; white-space: nowrap; }
th { font-weight: 600; color: var(--muted); white-space: nowrap; }
th, td { padding: 0.15rem 0.5rem; text-align: right; }
th[scope=row] { text-align: left; padding-left: 0; }
thead th { border-bottom: 1px solid var(--line); }
td[class^=share] { background: rgba(var(--weight), calc(var(--share) * 0.55)); }
.weights td:last-child { color: var(--muted); border-left: 1px solid var(--line); }
.blank { color: var(--muted); }
"""


# A class for every hundredth of a weight: the page's policy allows no style attributes.
SHARES = "".join(f".share-{n} {{ --share: {n / 100}; }}\n" for n in range(101))


def to_html(page: Page) -> str:
    """The page as a file of its own, which makes no request; no text in it is taken for HTML."""
    sections = "".join(map(_html_section, page.sections))
    body = f"<main>\n<h1>{html.escape(page.title)}</h1>\n{sections}</main>"
    return self_contained(page.title, STYLE + SHARES, body)


def _html_section(section: Section) -> str:
    notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in section.notes)
    steps = "".join(map(_html_step, section.steps))
    return f"<section>\n<h2>{html.escape(section.title)}</h2>\n{notes}{steps}</section>\n"


def _html_step(step: Step) -> str:
    formulas = "\n".join(map(_typeset, step.formulas))
    worked = "".join(f'<div class="worked">{html.escape(line)}</div>\n' for line in step.worked)
    return (
        f"<section>\n<h3>{html.escape(step.title)}</h3>\n"
        f'<div class="formulas">{formulas}</div>\n'
        f'<div class="tables">\n{"".join(map(_html_table, step.tables))}</div>\n'
        f"{worked}</section>\n"
    )


def _html_table(table: Table) -> str:
    grid = grid_of(table)
    kind = ' class="weights"' if table.weights else ""
    head = "".join(f'<th scope="col">{_html_label(label)}</th>' for label in grid.columns)
    rows = "".join(
        f'<tr><th scope="row">{_html_label(label)}</th>{"".join(map(_html_cell, cells))}</tr>\n'
        for label, cells in grid.rows
    )
    return (
        f'<div class="scroll"><table{kind}>\n<caption>{html.escape(table.name)}</caption>\n'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _html_label(label: str) -> str:
    """In `bdi`, so that a token that is written from right to left turns nothing around it."""
    return f"<bdi>{html.escape(label)}</bdi>"


def _html_cell(cell: Cell) -> str:
    if cell.share is not None:
        return f'<td class="share-{100 * cell.share:.0f}">{cell.text}</td>'
    blank = ' class="blank"' if cell.text in (GAP, MASKED) else ""
    return f"<td{blank}>{cell.text}</td>"


def _typeset(formula: str) -> str:
    """A formula with its indices and powers set as such."""
    formula = re.sub(r"\b([Wb])([qkvo])\b", r"\1<sub>\2</sub>", html.escape(formula))
    return re.sub(r"\^(\w+)", r"<sup>\1</sup>", formula)
