"""Test --help: every choice and every key with its default and meaning, on lines that fit."""

import re

import pytest

from minitx.commands.help import help_text, overview
from minitx.commands.table import COMMANDS
from minitx.config.compose import compose, to_plain
from minitx.config.keys import CONF, keys
from minitx.config.schema import MODELS

SCHEMAS = {name: each.schema for name, each in COMMANDS.items() if each.schema is not None}

every_page = pytest.mark.parametrize("name", SCHEMAS)


@pytest.fixture(scope="module")
def pages():
    return {name: help_text(COMMANDS[name]) for name in SCHEMAS}


def entries(page):
    """The entry of each key, by name: its line and those that go on with it, in one."""
    found, name = {}, None
    for line in page.split("Keys (key=value)")[1].splitlines():
        if line.startswith("  ") and line[2] != " ":
            name = line.strip().split("=")[0]
            assert name not in found
            found[name] = ""
        if name is not None:
            found[name] += " ".join(["", *line.split()])
    return found


@every_page
def test_every_key_has_its_meaning(pages, name):
    found = entries(pages[name])
    expected = set()
    for model in MODELS.values():
        for key, field in keys(SCHEMAS[name], model):
            if hasattr(field.type, "__dataclass_fields__"):
                assert f"\n{key}: {field.metadata['help']}" in pages[name]
            else:
                expected.add(key)
                assert field.metadata["help"] in found[key]
                assert all(choice in found[key] for choice in field.metadata.get("choices", ()))
    assert set(found) == expected


def test_defaults_are_those_of_a_run_without_words(pages):
    plain = to_plain(compose())
    for name, entry in entries(pages["train"]).items():
        value = plain
        for part in name.split("."):
            value = value.get(part, {})
        if value != {}:  # a key of another model
            shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
            assert entry.split()[0] == f"{name}={shown}"


# What is not chosen: a recipe comes with its task and model, and a study chooses its models.
NOT_CHOSEN = {"train": {"recipe", "study"}, "compare": {"recipe", "model"}}


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_every_option_of_every_group_is_there(pages, name):
    choices = pages[name].split("Choices")[1].split("Keys")[0]
    listed = {}
    for line in choices.splitlines():
        if line.startswith("  ") and line[2] != " ":  # else the line before goes on
            group, line = line.split(maxsplit=1)
            listed[group] = ""
        if listed:
            listed[group] += f" {line.strip()}"
    files = [f for f in CONF.glob("*/*.yaml") if f.parent.name not in NOT_CHOSEN[name]]
    assert set(listed) == {file.parent.name for file in files}
    for group, names in listed.items():
        expected = sorted(file.stem for file in files if file.parent.name == group)
        assert names.strip().split(", ") == expected


@every_page
def test_lines_fit_the_terminal(pages, name):
    assert max(map(len, pages[name].splitlines())) <= 100
    assert pages[name].isascii()


@every_page
def test_examples_are_shown_with_the_command(pages, name):
    for words, about in COMMANDS[name].examples:
        line = f"  minitx {name} {words}".rstrip()
        assert any(
            shown.startswith(line) and shown.endswith(about) for shown in pages[name].splitlines()
        )


def test_the_overview_lists_every_command_with_one_sentence():
    page = overview()
    assert max(map(len, page.splitlines())) <= 100
    for name, each in COMMANDS.items():
        assert re.search(rf"^  minitx {name} +{re.escape(each.summary)}$", page, re.MULTILINE)
        assert re.fullmatch(r"[A-Z][^.]*\.", each.summary)
