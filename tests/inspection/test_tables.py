"""Test which part of a table is shown, as text, Markdown and HTML, with any tokens."""

import io
import re
from html.parser import HTMLParser

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console

from minitx.inspection.tables import (
    GAP,
    MASKED,
    Page,
    Section,
    Step,
    Table,
    grid_of,
    labels_of,
    number,
    shown,
)
from minitx.inspection.tables_html import to_html
from minitx.inspection.tables_markdown import to_markdown
from minitx.inspection.tables_text import to_text, write_text
from minitx.inspection.tutorial import tutorial

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'&amp;",
    "</td></table>",
    "[bold]red[/bold]",
    "a|b",
    "**x** `y` _z_",
    "# #",
    "שלום",
    "\u202egnirts",
    "👩🏽‍🚀",
    "\x1b[31m\x07\x00",
    "\n\t ",
    "\\",
    "```",
    "",
]


def page_of(*tables, worked=()):
    return Page(
        "title", [Section("section", ["note"], [Step("step", ["y = w v"], tables, worked)])]
    )


def square(labels, *, allowed=None, weights=True):
    torch.manual_seed(0)
    values = torch.randn(len(labels), len(labels)).softmax(dim=-1)
    if allowed is not None:
        values = values * allowed
        values = values / values.sum(dim=1, keepdim=True)
    return Table("w", labels, values, labels, allowed=allowed, weights=weights)


class Tables(HTMLParser):
    """The tables of a page as rows of texts, all its elements, and all its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.elements, self.attributes = [], set(), []
        self.cell = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes += attrs
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data):
        if self.cell:
            self.tables[-1][-1][-1] += data


def markdown_tables(page):
    """The tables of a Markdown page as rows of texts, backslashes taken away."""
    tables, before = [], ""
    for line in page.splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
            row = [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in cells]
            if not before.startswith("|"):
                tables.append([])
            if not set(row) <= {"---", "---:"}:
                tables[-1].append(row)
        before = line
    return tables


@pytest.mark.parametrize("count", [0, 1, 11, 12])
def test_what_is_short_is_shown_in_full(count):
    for ends in (True, False):
        assert shown(count, 12, ends=ends) == list(range(count))


def test_what_is_long_has_a_gap():
    assert shown(13, 12, ends=True) == [*range(6), None, *range(7, 13)]
    assert shown(100, 5, ends=True) == [0, 1, 2, None, 98, 99]
    assert shown(9, 8, ends=False) == [*range(8), None]


def test_numbers():
    assert number(-0.00001, 4) == "0.0000"
    assert number(-0.4, 0) == "0"
    assert number(2.0, 0) == "2"
    assert number(-1.25, 3) == "-1.250"


def test_labels_can_be_seen_and_are_short():
    assert labels_of([" the\n", "a" * 12, "a" * 13]) == ["␣the⏎", "a" * 12, "a" * 11 + GAP]
    nasty = labels_of(NASTY)
    assert all(label.isprintable() for label in nasty if "🚀" not in label)
    assert all(0 < len(label) <= 12 for label in nasty)


def test_long_labels_can_be_told_apart():
    parts = [rf" \xf0\x9f\x{byte:x}" for byte in range(0x80, 0xC0)]
    words = ["counterrevolution", "counterrevolutionary", "counterrevolution", "countermand"]
    for tokens in (parts, words):
        labels = labels_of(tokens)
        assert len(set(labels)) == len(set(tokens))
        assert max(map(len, labels)) <= 12
    assert labels_of(parts)[0] == r"␣\xf0…9f\x80"
    text = to_text(page_of(square(labels_of(parts[:4]))))
    assert {rf"␣\x…x8{digit}" for digit in range(4)} <= set(text.split())  # in columns of 7


def test_whole_numbers_have_no_decimals_unless_one_is_none():
    assert Table("x", ["a"], torch.tensor([[1.0, -2.0]])).decimals == 0
    assert Table("x", ["a"], torch.tensor([[1.0, -2.5]])).decimals == 4
    # What a mask hides does not count.
    lowest = torch.tensor([[0.5, torch.finfo(torch.float32).min]])
    masked = Table("s", ["a"], lowest, ["a", "b"], allowed=torch.tensor([[True, False]]))
    assert masked.decimals == 4
    assert [cell.text for cell in grid_of(masked).rows[0][1]] == ["0.5000", MASKED]


def test_a_table_of_features_counts_them():
    grid = grid_of(Table("q", ["a", "b"], torch.randn(2, 20), first=97))
    assert grid.columns == [*map(str, range(97, 105)), GAP]
    assert all(cells[-1].text == GAP for _, cells in grid.rows)


def test_a_long_table_keeps_its_ends_and_the_sums_of_whole_rows():
    labels = [f"t{i}" for i in range(30)]
    table = square(labels)
    grid = grid_of(table)
    ends = [*labels[:6], GAP, *labels[-6:]]
    assert grid.columns == [*ends, "sum"]
    assert [label for label, _ in grid.rows] == ends
    for (label, cells), row in zip(grid.rows, shown(30, 12, ends=True), strict=True):
        if row is None:
            assert label == GAP
            assert {cell.text for cell in cells} == {GAP}
            continue
        *numbers, total = cells
        assert total.text == "1.0000"
        assert float(numbers[0].text) == pytest.approx(float(table.values[row, 0]), abs=5e-4)
        assert float(numbers[-1].text) == pytest.approx(float(table.values[row, -1]), abs=5e-4)
        assert sum(float(cell.text) for cell in numbers if cell.text != GAP) < 0.9


def test_hidden_weights_are_marked_and_count_as_nothing():
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    grid = grid_of(square(list("abcd"), allowed=causal))
    for i, (_, cells) in enumerate(grid.rows):
        assert [cell.text == MASKED for cell in cells] == [j > i for j in range(4)] + [False]
        assert cells[-1].text == "1.0000"


@pytest.mark.parametrize("count", [3, 12, 30])
def test_all_formats_show_the_same_cells(count):
    causal = torch.ones(count, count, dtype=torch.bool).tril()
    tokens = [f"t{i}" for i in range(count)]
    tables = [square(tokens, allowed=causal), Table("q", tokens, torch.randn(count, 9))]
    page = page_of(*tables)
    expected = []
    for table in tables:
        grid = grid_of(table)
        rows = [[label, *(cell.text for cell in cells)] for label, cells in grid.rows]
        expected.append([grid.columns, *rows])
    html, markdown, text = to_html(page), to_markdown(page), to_text(page)
    for found, corner in ((Tables(html).tables, ""), (markdown_tables(markdown), None)):
        assert len(found) == len(tables)
        for rows, (columns, *others), table in zip(found, expected, tables, strict=True):
            assert rows[0] == [table.name if corner is None else corner, *columns]
            assert rows[1:] == others
    lines = [line.split() for line in text.splitlines()]
    for columns, *rows in expected:
        assert columns in lines
        assert all(row in lines for row in rows)
    for written in (html, markdown, text):
        assert written.endswith("\n")
        assert "y = w v" in written


def test_no_token_is_taken_for_html():
    labels = labels_of(NASTY)
    raw = Table("<b>", NASTY[:4], torch.randn(4, 2))  # not even of labels that nobody made visible
    page = page_of(square(labels), raw, worked=["s[<script>, a] = 1 & 2"])
    found = Tables(to_html(page))
    assert found.elements == {
        *("html", "head", "meta", "title", "link", "style", "body", "main", "section"),
        *("h1", "h2", "h3"),
        *("p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "bdi"),
    }
    assert {name for name, _ in found.attributes} <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "scope", "rel", "href"),
    }
    # Each token is there as it is: of 16, the first six and the last six.
    assert [row[0] for row in found.tables[0][1:]] == [*labels[:6], GAP, *labels[-6:]]
    assert [row[0] for row in found.tables[1][1:]] == NASTY[:4]


def test_the_page_makes_no_request():
    page = to_html(tutorial())
    assert "default-src 'none'; script-src 'sha256-" in page
    assert not re.search(r"https?:|url\(|@import|import\(|fetch\(|XMLHttpRequest|src=", page)
    assert re.findall(r"href=[^>]*", page) == ['href="data:,"']  # no favicon is looked for


def test_what_has_no_formulas_has_no_empty_block():
    table = Table("x", ["a", "b"], torch.randn(2, 2))
    page = Page("title", [Section("section", [], [Step("given", (), [table])])])
    assert "```" not in to_markdown(page)


def test_no_token_breaks_a_markdown_table():
    labels = labels_of(NASTY)
    (rows,) = markdown_tables(to_markdown(page_of(square(labels))))
    assert {len(row) for row in rows} == {15}
    assert [row[0] for row in rows[1:]] == [*labels[:6], GAP, *labels[-6:]]


def test_no_token_is_taken_for_markup_or_an_escape_in_text():
    labels = labels_of(NASTY)
    text = to_text(page_of(square(labels[:8]), square(labels[8:])))
    assert "[bold]red[/…" in text
    joiner = "\u200d"  # within an emoji
    assert {c for c in text if not c.isprintable()} == {"\n", joiner}


@pytest.mark.parametrize("count", [4, 8, 9, 12, 40])
def test_text_of_the_widest_labels_fits_a_hundred_columns(count):
    labels = ["m" * 12] * count
    scores = Table("s", labels, -12.3456 * torch.ones(count, count), labels)
    queries = Table("q", labels, -1.2345 * torch.ones(count, 60), first=1000)
    text = to_text(page_of(square(labels), scores, queries))
    assert max(map(cell_len, text.splitlines())) <= 100
    assert text.count("-12.35" if count > 8 else "-12.346" if count > 4 else "-12.3456") > 4
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_the_same_text_in_colours():
    file = io.StringIO()
    write_text(tutorial(), Console(file=file, width=100, force_terminal=True, color_system="256"))
    assert "\x1b[1m" in file.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())
    assert [line.rstrip() for line in plain.splitlines()] == to_text(tutorial()).splitlines()


def test_a_terminal_without_lines_gets_others():
    text = to_text(tutorial(), "ascii")
    assert text.isascii()
    assert "\\u25" not in text  # an escape of such a line
    numbers = re.compile(r"-?\d+\.\d+")
    assert numbers.findall(text) == numbers.findall(to_text(tutorial()))


def test_small_tables_are_side_by_side():
    tables = [Table(name, ["a", "b"], torch.ones(2, 4)) for name in ("first", "second", "third")]
    lines = to_text(page_of(*tables)).splitlines()
    assert any(line.split() == ["first", "second", "third"] for line in lines)
    wide = [Table(name, ["a", "b"], torch.rand(2, 8)) for name in ("first", "second")]
    lines = to_text(page_of(*wide)).splitlines()
    assert not any(line.split() == ["first", "second"] for line in lines)
