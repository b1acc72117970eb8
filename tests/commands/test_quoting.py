"""Test that text and paths on the command line pass through Hydra unchanged."""

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from minitx.commands.quoting import VERBATIM, quoted
from minitx.config.compose import compose, literal

many_examples = settings(deadline=None, max_examples=200)

# Any text at all, and such as is made of what has a meaning to Hydra or OmegaConf.
TEXT = st.text() | st.text("\\\"'${}[](),:= \n\tab~+@.") | st.text("\\${x}\"'")
PARSER = OverridesParser.create()


def through_hydra(argument):
    """The value that a script would see: parsed, and its interpolations followed."""
    value = PARSER.parse_override(argument).value()
    return OmegaConf.create({"key": value}).key


@many_examples
@given(name=st.sampled_from(VERBATIM), text=TEXT)
@example("prompt", "a, b")
@example("prompt", '"Speak," he said: \\')
@example("data.path", r"C:\new\${HOME}\${x")
@example("data.path", "ends in \\\n")
@example("prompt", "control characters \0\x01\x1b\x7f\x85\u2028\ud800")
@example("prompt", "null")
@example("run", "1e5")
@example("run", "")
def test_text_comes_back_as_it_was(name, text):
    assume(not re.fullmatch(r"\".*\"|'.*'", text, re.DOTALL))  # see below
    assume(text != "null" or name == "prompt")
    assume(text != "???")  # OmegaConf's word for a missing value
    assert through_hydra(quoted(f"{name}={text}")) == text


@many_examples
@given(name=st.sampled_from(VERBATIM), text=TEXT)
def test_twice_is_once(name, text):
    once = quoted(f"{name}={text}")
    assert quoted(once) == once


@many_examples
@given(TEXT)
def test_a_literal_is_no_interpolation(text):
    assert OmegaConf.create({"key": literal(text)}).key == text


@pytest.mark.parametrize("argument", ['prompt="a, \\"b\\""', "prompt='a, \"b\"'"])
def test_what_is_quoted_for_hydra_is_hydras(argument):
    assert quoted(argument) == argument
    assert through_hydra(argument) == 'a, "b"'


@pytest.mark.parametrize(
    "argument",
    [
        "trainer.max_steps=10",
        "model=lstm,gru",
        "experiment=a b",
        "hydra.run.dir=${x}",
        "+prompt=a, b",
        "prompts=a, b",
        "prompt",
        "--help",
        "-m",
        "",
        "run.dir=null",
    ],
)
def test_other_words_are_left_alone(argument):
    assert quoted(argument) == argument


@pytest.mark.parametrize("path", ["my, [odd] file.txt", r"a\${b}.txt", "it's=1", "${oc.env:HOME}"])
def test_a_path_reaches_the_config(path):
    assert compose(quoted(f"data.path={path}")).data.path == str(Path.cwd() / path)
    assert compose(quoted("data.path=null")).data.path is None
