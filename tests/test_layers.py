"""Test that a package imports only from packages that are listed before it."""

import ast
import sys
from pathlib import Path

import pytest

import minitx

ROOT = Path(minitx.__file__).parent

# Every package, in the order of the rule, and what it may import from other people's packages. A
# package may also import itself and the packages above it in this table. Nothing else is allowed.
PACKAGES = {
    "errors": "",
    "terminal": "rich",
    "config": "hydra omegaconf yaml",
    "nn": "torch",
    "drawing": "matplotlib numpy jinja2",
    "models": "torch",
    "data.random_streams": "torch numpy",
    "data.cleaning": "",
    "data.progress": "rich",
    "data.lines": "",
    "data.corpora": "datasets huggingface_hub",
    "data.tokenizers": "numpy tokenizers",
    "data.batching": "torch numpy filelock",
    "data.module": "torch lightning",
    "metrics": "torch torchmetrics numpy scipy sacrebleu",
    "runs": "torch yaml",
    "decoding": "torch numpy",
    "objectives": "torch lightning",
    "tasks": "torch numpy lightning",
    "interop": "torch safetensors huggingface_hub jinja2 transformers",
    "inspection": "torch numpy matplotlib safetensors rich IPython",
    "training": "torch lightning rich wandb",
    "study.statistics": "numpy scipy",
    "study.plan": "omegaconf filelock",
    "study.measure": "torch numpy filelock",
    "study.results": "numpy pandas",
    "study.report": "numpy pandas matplotlib jinja2 markdown_it",
    "study.run": "hydra omegaconf filelock rich wandb",
    "study": "",
    "bench": "torch pandas",
    "commands": "torch hydra omegaconf rich",
    "": "",
}

# Packages that do not know others, although these come before them.
DOES_NOT_KNOW = {
    "nn": ["errors", "config"],  # a file of it can be copied into any project
    "drawing": ["config", "nn"],
    "data": ["nn", "models"],
    "metrics": ["config", "nn", "models"],
}


def module_name(path: Path) -> str:
    """The name below `minitx`: "nn.attention", "nn" for its __init__, "" for that of minitx."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def package_of(name: str) -> str:
    """The entry of the table that a module belongs to: the longest that begins its name."""
    entries = [entry for entry in PACKAGES if name == entry or name.startswith(f"{entry}.")]
    return max(entries, key=len, default="")


def imports(source: str) -> set[str]:
    """The full names of all that a source imports, anywhere in it, without Python's own library."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def modules_imported(name: str) -> set[str]:
    """The modules of minitx that a module imports; "" is minitx itself."""
    found = set()
    for imported in imports(FILES[name].read_text(encoding="utf-8")):
        if imported.split(".")[0] == "minitx":
            inner = imported.removeprefix("minitx").removeprefix(".")
            found.add(inner if inner in FILES else inner.rpartition(".")[0])
    return found


def knows(package: str, other: str) -> bool:
    order = list(PACKAGES)
    top, other_top = package.partition(".")[0], other.partition(".")[0]
    return order.index(other) <= order.index(package) and other_top not in DOES_NOT_KNOW.get(
        top, []
    )


@pytest.mark.parametrize("name", FILES)
def test_a_module_imports_only_what_its_package_may(name):
    package = package_of(name)
    imported = imports(FILES[name].read_text(encoding="utf-8"))
    foreign = {each.split(".")[0] for each in imported} - {"minitx"}
    assert foreign <= set(PACKAGES[package].split())
    inner = modules_imported(name)
    assert {each for each in inner if not knows(package, package_of(each))} == set()


def test_the_table_names_every_package_and_no_other():
    named = {package.partition(".")[0] for package in PACKAGES}
    assert named == {name.partition(".")[0] for name in FILES}
    assert {package_of(name) for name in FILES} == set(PACKAGES)


def test_no_allowance_is_left_over():
    used = {
        (package_of(name), imported.split(".")[0])
        for name, path in FILES.items()
        for imported in imports(path.read_text(encoding="utf-8"))
    }
    unused = {
        (package, allowed)
        for package, names in PACKAGES.items()
        for allowed in names.split()
        if (package, allowed) not in used
    }
    assert not unused


def test_no_module_imports_itself_in_a_circle():
    within: dict[str, set[str]] = {name: modules_imported(name) - {name} for name in FILES}
    while free := [name for name, needed in within.items() if not needed & within.keys()]:
        for name in free:
            del within[name]
    assert not within


def test_only_the_errors_are_at_the_top_level():
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "errors.py"}


def test_imports_are_found_everywhere():
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
