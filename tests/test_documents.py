"""What the documents say can be typed: every command in them names keys and choices that exist."""

import re
import shlex
from pathlib import Path

import hydra
import pytest

from minitx.config.compose import CONF, register_schemas, to_typed
from minitx.config.schema import (
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

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "train": ("config", Config),
    "generate": ("generate", GenerateConfig),
    "evaluate": ("evaluate", EvaluateConfig),
    "translate": ("translate", TranslateConfig),
    "predict": ("predict", PredictConfig),
    "explain": ("explain", ExplainConfig),
    "inspect_attention": ("inspect", InspectConfig),
    "head_importance": ("importance", ImportanceConfig),
    "compare": ("compare", CompareConfig),
}


def commands() -> list[tuple[str, str]]:
    """(script, arguments) of each line of code in a document that calls one of our scripts."""
    found = []
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "data/README.md"]:
        for line in document.read_text(encoding="utf-8").splitlines():
            for script, arguments in re.findall(r"python scripts/(\w+)\.py([^#`|&]*)", line):
                if script in SCRIPTS:
                    found.append((script, arguments.strip()))
    return found


@pytest.mark.parametrize(("script", "arguments"), commands())
def test_commands_in_the_documents_compose(script, arguments):
    name, schema = SCRIPTS[script]
    words = [word for word in shlex.split(arguments) if word not in ("-m", "--help")]
    overrides = [re.sub(r"=([^,'\"]+),.*", r"=\1", word) for word in words]  # a sweep's first
    register_schemas()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        to_typed(hydra.compose(name, overrides), schema)


def test_no_figure_is_left_out():
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        assert "@@" not in document.read_text(encoding="utf-8"), document


def test_ci_runs_the_test_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r'^pip install -e "\.\[test\]" && pytest$', readme, re.MULTILINE)
