"""Test that messages are printed as text, and that nothing is printed in another way."""

import ast
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitx
from minitx.terminal.text import NOT_DRAWN, note, printable, say

ROOT = Path(minitx.__file__).parent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),  # a colour
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),  # the title of the window, and a bell
        ("\x9b2J", r"\x9b2J"),  # the same as ESC [, in one character
        ("a\rb\x08c\x0bd\x0ce\x00\x7f\x85", r"a\rb\x08c\x0bd\x0ce\x00\x7f\x85"),
        ("\u202eabc\u2066\u200e", r"\u202eabc\u2066\u200e"),  # the direction of writing
        ("a\u200bb\ufeff\u2028\u2029", r"a\u200bb\ufeff\u2028\u2029"),
        ("\U000e0041", r"\U000e0041"),  # a tag: text that nobody sees
        ("\udc80\ud800", r"\udc80\ud800"),  # a byte of a file name, half a character
        ("a\n\tb", "a\n\tb"),
        ("漢字 e\u0301 \U0001f469\u200d\U0001f467 می\u200cخواهم", None),
        ("[b]not markup[/b] :smile: $x$ \\x1b", None),
        ("", None),
    ],
)
def test_a_terminal_draws_every_character(text, shown):
    assert printable(text) == (text if shown is None else shown)


@given(st.text())
def test_what_is_drawn_stays_and_everything_else_is_escaped(text):
    shown = printable(text)
    assert all(c in "\n\t\u200c\u200d" or unicodedata.category(c) not in NOT_DRAWN for c in shown)
    assert printable(shown) == shown
    drawn = [c for c in text if unicodedata.category(c) not in NOT_DRAWN]
    rest = iter(shown)
    assert all(c in rest for c in drawn)  # in this order


def test_a_message_is_one_line(capsys):
    note("runs/a\nb\x1b[2J")
    say("runs/a\nb\x1b[2J")
    out, err = capsys.readouterr()
    assert err == "runs/a\\nb\\x1b[2J\n"
    assert out == err


# bench prints its own numbers, and no text of the user. load.py runs where minitx is not.
MODULES = [
    path.relative_to(ROOT)
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] not in ("terminal", "bench")
    and path != ROOT / "interop" / "load.py"
]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_prints_through_the_terminal_package(module):
    """Rich's own console, panels and columns read markup, and `print` passes controls on."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"print", "sys.stdout.write", "sys.stderr.write", "warnings.warn"}
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not {
        name
        for name in imported
        if name.startswith(("rich.panel", "rich.markup", "rich.prompt", "rich.print"))
        or name in ("rich.console.Console", "rich.progress.TextColumn")
    }
