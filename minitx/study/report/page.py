"""A study's report as one self-contained page: pictures are inside, and no network is asked.

It holds no script. What comes from a config, a text or a failure enters it escaped.
"""

import base64
from collections.abc import Iterable, Mapping
from html import escape

import pandas as pd

from minitx.drawing.html import self_contained, source
from minitx.study.report.markdown import NO_ANSWER, QUICK
from minitx.study.report.report import MOST_ROWS, Report, tables_of
from minitx.study.report.sections import Section
from minitx.study.report.tables import shown


def page(report: Report, pictures: Mapping[str, str]) -> str:
    """The whole page, to be written as UTF-8; `pictures` are SVGs by the names of sections."""
    style = source("minitx.study.report", "report.css")
    body = "\n".join(_body(report, pictures))
    return self_contained(report.title, style, f"<main>\n{body}\n</main>")


def _body(report: Report, pictures: Mapping[str, str]) -> Iterable[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    if report.quick:
        yield f'<p class="notice"><strong>{escape(QUICK)}</strong></p>'
    yield '<p class="label">The question</p>'
    yield f'<p class="question">{escape(report.question)}</p>'
    yield '<div class="answer"><p class="label">The answer</p>'
    yield f"<ul>{''.join(map(_claim, report.answer or [NO_ANSWER]))}</ul></div>"
    if report.picture:
        yield _picture(report.picture, pictures)
    for section in report.sections:
        yield f"<h2>{escape(section.title)}</h2>"
        at_top = section is report.picture
        if section.figure and not at_top:
            yield _picture(section, pictures)
        if sentences := section.sentences[section.answers if at_top else 0 :]:
            yield _items(sentences)
        names = ["figures", *section.more]
        for name, (file, table) in zip(names, tables_of(section).items(), strict=True):
            yield _data(table, f"The {name}", file)
        if section.note:
            yield f'<p class="note">{escape(section.note)}</p>'
    yield "<h2>How it was done</h2><dl>"
    yield from (
        f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in report.how.items()
    )
    yield '</dl><h2>Rules of a fair comparison</h2><ul class="rules">'
    for rule in report.rules:
        kind, mark = ("kept", "✓ kept") if rule.kept else ("broken", "✗ not kept")
        words = f"<strong>{escape(_capital(rule.name))}.</strong> {escape(rule.words)}"
        yield f'<li class="{kind}"><b>{mark}</b><span>{words}</span></li>'
    yield "</ul><h2>All runs</h2>"
    yield _table(report.runs)
    if report.command:
        yield f"<h2>To repeat it</h2><pre>{escape(report.command)}</pre>"


def _claim(sentence: str) -> str:
    """A sentence of the answer; what it claims stands out from the figures behind the colon."""
    claim, colon, figures = sentence.partition(":")
    spelt = f"<strong>{escape(claim)}</strong>" if colon else escape(claim)
    return f"<li>{spelt}{colon}{escape(figures)}</li>"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _items(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _picture(section: Section, pictures: Mapping[str, str]) -> str:
    drawn = base64.b64encode(pictures[section.name].encode()).decode()
    words = escape(" ".join([f"{section.title}.", *section.sentences]))
    return f'<figure><img src="data:image/svg+xml;base64,{drawn}" alt="{words}"></figure>'


def _data(table: pd.DataFrame, what: str, file: str) -> str:
    """A table to be opened; of a long one where it lies."""
    if len(table) > MOST_ROWS:
        link = f'<a href="{escape(file)}">{escape(file)}</a>'
        return f'<p class="note">{what}: {link}, {len(table):,} rows.</p>'
    return f"<details><summary>{what}</summary>{_table(table)}</details>"


def _table(table: pd.DataFrame) -> str:
    written = shown(table)
    kinds = [' class="number"' if right else "" for right in written.numeric]

    def row(tag: str, cells: list[str]) -> str:
        made = (
            f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    head = row("th", written.heads)
    body = "".join(row("td", cells) for cells in written.rows)
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
