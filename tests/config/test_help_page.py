"""--help: every choice and every key, with its default and meaning, on lines that fit."""

import pytest

from minitx.config.compose import CONF, compose, keys, register_schemas, to_plain
from minitx.config.help import help_text
from minitx.config.schema import (
    MODELS,
    CompareConfig,
    Config,
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    ImportanceConfig,
    InspectConfig,
    PredictConfig,
    TranslateConfig,
)

SCHEMAS = {
    "config": Config,
    "generate": GenerateConfig,
    "evaluate": EvaluateConfig,
    "translate": TranslateConfig,
    "predict": PredictConfig,
    "explain": ExplainConfig,
    "inspect": InspectConfig,
    "importance": ImportanceConfig,
    "compare": CompareConfig,
}

every_page = pytest.mark.parametrize("script", SCHEMAS)


@pytest.fixture(scope="module")
def pages():
    register_schemas()
    return {script: help_text(script, schema) for script, schema in SCHEMAS.items()}


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
def test_every_key_is_there_with_its_meaning(pages, script):
    found = entries(pages[script])
    expected = set()
    for model in MODELS.values():
        for name, field in keys(SCHEMAS[script], model):
            if hasattr(field.type, "__dataclass_fields__"):
                assert f"\n{name}: {field.metadata['help']}" in pages[script]
            else:
                expected.add(name)
                assert field.metadata["help"] in found[name]
                assert all(choice in found[name] for choice in field.metadata.get("choices", ()))
    assert set(found) == expected


def test_defaults_are_those_of_a_run_without_words(pages):
    plain = to_plain(compose())
    for name, entry in entries(pages["config"]).items():
        value = plain
        for part in name.split("."):
            value = value.get(part, {})
        if value != {}:  # a key of another model
            shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
            assert entry.split()[0] == f"{name}={shown}"


# What is not chosen: a recipe comes with its task and model, and a study chooses its models.
NOT_CHOSEN = {"config": {"recipe", "study"}, "compare": {"recipe", "model"}}


@pytest.mark.parametrize("script", NOT_CHOSEN)
def test_every_option_of_every_group_is_there(pages, script):
    choices = pages[script].split("Choices")[1].split("Keys")[0]
    listed = {}
    for line in choices.splitlines():
        if line.startswith("  ") and line[2] != " ":  # else the line before goes on
            group, line = line.split(maxsplit=1)
            listed[group] = ""
        if listed:
            listed[group] += f" {line.strip()}"
    files = [f for f in CONF.glob("*/*.yaml") if f.parent.name not in NOT_CHOSEN[script]]
    assert set(listed) == {file.parent.name for file in files}
    for group, names in listed.items():
        expected = sorted(file.stem for file in files if file.parent.name == group)
        assert names.strip().split(", ") == expected


@every_page
def test_lines_fit_the_terminal(pages, script):
    assert max(map(len, pages[script].splitlines())) <= 100
    assert pages[script].isascii()
