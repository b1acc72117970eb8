"""Imports run downwards only, so that `minitx/nn/attention.py` can be lifted into any project."""

import ast
import sys
from pathlib import Path

import pytest

import minitx

ROOT = Path(minitx.__file__).parent

# A package of ours (the longest name that fits a file counts) and all that it may import, beside
# Python's standard library. Packages that are not named here stand above and may import anything.
MAY_IMPORT = {
    "minitx.errors": [],
    "minitx.config.schema": [],
    "minitx.nn": ["torch", "minitx.nn"],
    "minitx.models": ["torch", "minitx.nn", "minitx.models", "minitx.config.schema"],
    "minitx.data": [
        *["torch", "numpy", "tokenizers", "filelock", "rich", "datasets", "huggingface_hub"],
        *["minitx.data", "minitx.errors", "minitx.data.random_streams"],
    ],
    "minitx.data.module": ["torch", "lightning", "minitx.data", "minitx.errors"],
    # What is checked before torch is imported.
    "minitx.tasks.requirements": ["minitx.config.schema", "minitx.data", "minitx.errors"],
    "minitx.runs.checks": [
        *[
            "minitx.config.schema",
            "minitx.config.compose",
            "minitx.tasks.requirements",
            "minitx.errors",
        ],
        *["minitx.data.corpora.packages", "minitx.runs.paths", "minitx.commands.text_io", "wandb"],
    ],
    # Between a text and a model.
    "minitx.runs.vocabulary": [
        *["torch", "minitx.models", "minitx.data", "minitx.config.schema", "minitx.errors"],
        "minitx.runs.paths",
    ],
    # What an objective is: it knows no corpus, no folder, and nothing of what is shown.
    "minitx.tasks": [
        *["torch", "torchmetrics", "lightning", "minitx.tasks", "minitx.config.schema"],
        *["minitx.data.batching.batches", "minitx.data.batching.windows"],
        *[
            "minitx.metrics.losses",
            "minitx.metrics.token_metrics",
            "minitx.objectives.optim",
            "minitx.data.random_streams",
            "minitx.nn.lengths",
        ],
    ],
    "minitx.metrics.losses": ["torch", "minitx.data.batching.windows"],
    "minitx.metrics.token_metrics": ["torch", "torchmetrics", "minitx.data.batching.windows"],
    "minitx.objectives.optim": [
        "torch",
        "minitx.config.schema",
        "minitx.objectives.muon",
        "minitx.nn",
    ],
    "minitx.objectives.muon": ["torch"],
    "minitx.data.random_streams": ["torch", "numpy"],
    # All that differs between objectives; training, evaluation and what is printed stand above it.
    "minitx.tasks.open": [
        *["torch", "numpy", "lightning", "minitx.tasks.open", "minitx.tasks", "minitx.models"],
        *["minitx.data", "minitx.runs.vocabulary", "minitx.config.schema", "minitx.config.compose"],
        *[
            "minitx.tasks.requirements",
            "minitx.errors",
            "minitx.metrics.token_metrics",
            "minitx.metrics.scores",
            "minitx.decoding.sampling",
        ],
        *["minitx.decoding.translation", "minitx.decoding.search", "minitx.training.callbacks"],
        "minitx.training.watch_attention",
    ],
    # The callbacks and the outputs that setups choose from know no setup.
    "minitx.training.callbacks": [
        *["torch", "lightning", "minitx.tasks", "minitx.errors", "minitx.runs.paths"],
        *["minitx.drawing.figures", "minitx.training.loggers"],
    ],
    # Looking into a model knows no setup, but for what measures it on a corpus and what reports.
    "minitx.inspection.capture": ["torch", "minitx.nn", "minitx.models", "minitx.errors"],
    "minitx.inspection.measures": ["torch", "minitx.inspection.maps"],
    "minitx.decoding.translation": [
        *[
            "torch",
            "minitx.models",
            "minitx.data",
            "minitx.runs.vocabulary",
            "minitx.config.schema",
        ],
        *[
            "minitx.config.compose",
            "minitx.runs.checks",
            "minitx.errors",
            "minitx.commands.text_io",
            "minitx.runs.run",
        ],
        "minitx.decoding.search",
    ],
}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


def imports(source: str) -> set[str]:
    """The full names of what a source imports, wherever in it, but for the standard library."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
GOVERNED = [name for name in FILES if any(within(name, package) for package in MAY_IMPORT)]


@pytest.mark.parametrize("name", GOVERNED)
def test_imports_run_downwards(name):
    package = max((package for package in MAY_IMPORT if within(name, package)), key=len)
    upwards = {
        imported
        for imported in imports(FILES[name].read_text(encoding="utf-8"))
        if not any(within(imported, allowed) for allowed in MAY_IMPORT[package])
    }
    assert not upwards


def test_every_package_in_the_table_exists():
    assert [package for package in MAY_IMPORT if not any(within(f, package) for f in FILES)] == []


def test_imports_are_found_wherever_they_stand():
    source = """
import math, torch.nn as nn
from minitx import models
from .config import key
def late():
    from minitx.models.build import language_model
"""
    assert imports(source) == {
        "torch.nn",
        "minitx.models",
        ".config.key",
        "minitx.models.build.language_model",
    }
