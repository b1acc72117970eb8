"""Test that every command in the documents names keys and choices that exist."""

import re
import shlex
from pathlib import Path

import pytest

from minitx.commands.quoting import quoted
from minitx.commands.table import COMMANDS
from minitx.config.compose import composed, to_typed

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / "README.md", ROOT / "data/README.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/how-to/*.md"),
]
SCRIPTS = {each.script or name: name for name, each in COMMANDS.items() if each.schema is not None}


def commands() -> list[tuple[str, str]]:
    """(command, arguments) of each line of code in a document, and of each example of --help."""
    found = []
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            for script, name, arguments in re.findall(
                r"(?:python scripts/(\w+)\.py|minitx (\w+))([^#`|&<]*)", line
            ):
                name = SCRIPTS.get(script, name)
                own_files = "--config-dir" in arguments  # which the reader has, and we have not
                if name in SCRIPTS.values() and not own_files:
                    found.append((name, arguments.strip()))
    for name, each in COMMANDS.items():
        if each.schema is not None:
            found += [(name, words.partition("<")[0]) for words, _ in each.examples]
    return found


@pytest.mark.parametrize(("name", "arguments"), commands())
def test_commands_in_the_documents_compose(name, arguments):
    words = [word for word in shlex.split(arguments) if not word.startswith("-")]
    overrides = [re.sub(r"=([^,'\"\[]+),.*", r"=\1", word) for word in words]  # a sweep's first
    schema = COMMANDS[name].schema
    to_typed(composed(COMMANDS[name].register(), [quoted(word) for word in overrides]), schema)


def test_every_script_is_in_the_table():
    scripts = {each.script or name for name, each in COMMANDS.items()}
    assert scripts == {path.stem for path in (ROOT / "scripts").glob("*.py")}


def test_no_figure_is_left_out():
    for document in DOCUMENTS:
        assert "@@" not in document.read_text(encoding="utf-8"), document


def test_ci_runs_the_test_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r'^pip install -e "\.\[test\]" && pytest$', readme, re.MULTILINE)
