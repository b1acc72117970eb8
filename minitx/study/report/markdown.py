"""A study's report in Markdown, from the template web/report.md.

All words are escaped as they enter the template, so that nothing from a config, a text or an error
message is taken for markup.
"""

import re
from collections.abc import Sequence

import pandas as pd
from jinja2 import Environment, StrictUndefined

from minitx.drawing.formatting import column, is_number
from minitx.drawing.html import source
from minitx.study.report.report import MOST_ROWS, Report
from minitx.study.report.sections import Section


class Markdown(str):
    """Text that is Markdown already, so that it is not escaped again."""


def markdown(report: Report) -> str:
    """Return the whole report."""
    environment = Environment(
        finalize=_escape, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"claim": _claim, "code": _code, "link": _link, "picture": _picture}
    environment.filters |= {"table": table, "unescaped": Markdown}
    template = environment.from_string(source("minitx.study.report", "report.md"))
    return template.render(report=report, most_rows=MOST_ROWS) + "\n"


def table(figures: pd.DataFrame) -> Markdown:
    """Return a table, with numbers aligned to the right."""
    columns = [list(figures[name]) for name in figures.columns]
    numeric = [bool(values) and all(map(is_number, values)) for values in columns]
    lines: list[Sequence[str]] = [
        [_escape(name) for name in figures.columns],
        ["---:" if right else "---" for right in numeric],
        *(list(map(_escape, row)) for row in zip(*map(column, columns), strict=True)),
    ]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _escape(words: object) -> Markdown:
    """Put words into one line, with a backslash before all that Markdown would interpret."""
    if isinstance(words, Markdown):
        return words
    line = re.sub(r"([\\`*_\[\]<>|#$~&])", r"\\\1", " ".join(str(words).split()))
    # No list and no rule begins with the line.
    return Markdown(re.sub(r"^(\d+(?=[.)](?: |$))|(?=[-+=]))", r"\1\\", line))


def _claim(sentence: str) -> Markdown:
    """Emphasize the claim of a sentence, which is before the colon, over its figures."""
    claim, colon, figures = map(_escape, sentence.partition(":"))
    return Markdown(f"**{claim}**: {figures.strip()}") if colon else claim


def slug(heading: str) -> str:
    """Return the name of a heading in links, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _link(heading: str) -> Markdown:
    """Link to a heading."""
    return Markdown(f"[{_escape(heading)}](#{slug(heading)})")


def _picture(section: Section) -> Markdown:
    """Show the figure of a section, and the note that explains it."""
    shown = f"![{_escape(section.title)}]({section.picture})" if section.figure else ""
    note = f"*{_escape(section.note)}*" if section.note else ""
    return Markdown("\n\n".join(filter(None, [shown, note])))


def _code(words: str) -> Markdown:
    """Indent text, so that it is shown as code."""
    return Markdown("\n".join(f"    {line}" for line in words.splitlines()))
