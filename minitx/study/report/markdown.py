"""A study's report as Markdown, with its pictures beside it."""

import re

import pandas as pd

from minitx.study.report.report import MOST_ROWS, Report, tables_of
from minitx.study.report.sections import Section
from minitx.study.report.tables import shown

QUICK = "This is the quick preset: made to be seen within minutes, and not to be quoted."
NO_ANSWER = "Not enough runs have finished to say anything."


def markdown(report: Report) -> str:
    """The whole report; what comes from configs and failures is escaped."""
    parts = [f"# {_text(report.title)}"]
    if report.quick:
        parts.append(f"> **{QUICK}**")
    parts += ["## The question", _text(report.question), "## The answer"]
    parts += [_lines([_claim(sentence) for sentence in report.answer or [NO_ANSWER]])]
    if report.picture:
        parts.append(_picture(report.picture))
    for section in report.sections:
        parts += _section(section, pictured=section is not report.picture)
    parts += ["## How it was done", _facts(report.how)]
    parts += ["## Rules of a fair comparison", _lines(_rules(report))]
    parts += ["## All runs", table(report.runs)]
    if report.command:
        parts += ["## To repeat it", f"```sh\n{report.command}\n```"]
    return "\n\n".join(parts) + "\n"


def _section(section: Section, pictured: bool) -> list[str]:
    """A part of the report; without the picture and the answers that stand at its top already."""
    parts = [f"## {_text(section.title)}"]
    if pictured and section.figure:
        parts.append(_picture(section))
    if sentences := section.sentences[0 if pictured else section.answers :]:
        parts.append(_items(sentences))
    parts += [_data(figures, file) for file, figures in tables_of(section).items()]
    if section.note:
        parts.append(f"*{_text(section.note)}*")
    return parts


def _picture(section: Section) -> str:
    return f"![{_text(section.title)}](figures/{section.name}.png)"


def _data(figures: pd.DataFrame, file: str) -> str:
    if len(figures) > MOST_ROWS:
        return f"Its figures: [{file}]({file}), {len(figures):,} rows."
    return table(figures)


def table(figures: pd.DataFrame) -> str:
    """Figures as a table of Markdown."""
    written = shown(figures)
    lines = [written.heads, ["---:" if right else "---" for right in written.numeric]]
    head, rule = (list(map(_text, lines[0])), lines[1])
    rows = [list(map(_text, row)) for row in written.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _facts(facts: dict[str, str]) -> str:
    return _lines([f"**{_text(name)}**: {_text(words)}" for name, words in facts.items()])


def _rules(report: Report) -> list[str]:
    return [
        f"{'kept' if rule.kept else '**not kept**'}: {_text(rule.name)}. {_text(rule.words)}"
        for rule in report.rules
    ]


def _claim(sentence: str) -> str:
    """A sentence of the answer; what it claims stands out from the figures behind the colon."""
    claim, colon, figures = map(_text, sentence.partition(":"))
    return f"**{claim}**: {figures}" if colon else claim


def _items(sentences: list[str]) -> str:
    return _lines(list(map(_text, sentences)))


def _lines(written: list[str]) -> str:
    return "\n".join(f"- {each}" for each in written)


def _text(words: str) -> str:
    """Words in one line, of which nothing is taken for markup."""
    return re.sub(r"([\\`*_\[\]<>|#$~&])", r"\\\1", " ".join(words.split()))
