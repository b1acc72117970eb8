"""Test the console: strings are text, tables lose nothing, and any width and encoding will do."""

import io

import pytest
from rich.progress import Progress
from rich.table import Table

from minitx.terminal.console import Console, text_column

HOSTILE = "[old] x[/b] [red] :smile: \x1b[31m\x07"
SHOWN = r"[old] x[/b] [red] :smile: \x1b[31m\x07"


def printed(width=200, encoding="utf-8", **options):
    """Return a console, and a function that returns what it has printed."""
    file = io.TextIOWrapper(io.BytesIO(), encoding)  # raises if it lacks a character
    console = Console(file=file, width=width, **options)

    def text():
        file.flush()
        return file.buffer.getvalue().decode(encoding)

    return console, text


def table():
    made = Table("", title=HOSTILE)
    made.add_column("test\nsplit", justify="right")
    made.add_column(HOSTILE)
    made.add_column("95% interval", justify="right")
    made.add_row("word error rate", "1,234.5678", HOSTILE, "0.123456789 to 0.987654321")
    return made


def test_strings_are_text_wherever_they_are():
    console, text = printed()
    console.print(HOSTILE)
    console.print_table(table())
    console.print_between_rules(HOSTILE, HOSTILE)
    assert text().count(SHOWN) == 6
    assert "\x1b" not in text()
    assert "\x07" not in text()


@pytest.mark.parametrize("width", [1, 20, 60, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_cell_is_cut(width, encoding):
    console, text = printed(width, encoding)
    console.print_table(table())
    rows = text()[text().index("95%") :]  # below the title
    for word in [*SHOWN.split(), "1,234.5678", "0.123456789 to 0.987654321", "95% interval"]:
        assert word in rows
    assert console.width == width


def test_text_is_not_drawn_into_a_border():
    sample = "漢字かな\U0001f469\u200d\U0001f467e\u0301\n\tx\n" + "long " * 30 + "\n\n  indented"
    console, text = printed(20)
    console.print_between_rules(sample, "what it writes now")
    first, *lines, last = text().splitlines()
    assert lines == sample.expandtabs(8).splitlines()
    assert first == "what it writes now ─"
    assert last == "─" * 20


def test_a_console_without_lines_and_spinners_gets_others():
    console, text = printed(30, "ascii")
    console.print_between_rules("to be", "title")
    assert text().splitlines() == ["title " + "-" * 24, "to be", "-" * 30]
    assert console.spinner == "line"
    assert printed()[0].spinner == "dots"


def test_a_bar_takes_its_values_as_text():
    console, text = printed()
    bar = Progress(
        text_column("{task.description}", "bold"),
        text_column("{task.fields[status]}"),
        console=console,
        auto_refresh=False,
    )
    with bar:
        bar.add_task("[b]asking[/]", status="[old] :smile:")
    assert "[b]asking[/] [old] :smile:" in text()


def test_a_status_takes_its_text_from_render_str():
    console, text = printed(force_terminal=True, _environ={"TERM": "xterm", "NO_COLOR": "1"})
    with console.status(console.render_str(f"loading {HOSTILE} ..."), spinner=console.spinner):
        pass
    assert f"loading {SHOWN} ..." in text()
