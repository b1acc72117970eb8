"""A model that needs only torch: its weights, and copies of the modules that it consists of.

The copies are the modules of minitx, not a second implementation: the same code that was trained
and tested. They are a package of their own, `minitx_model`, so that they do not depend on the
version of minitx, or on whether it is installed.
"""

import ast
import re
from importlib import import_module
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from minitx.config.checksums import checksum
from minitx.config.compose import to_plain
from minitx.config.fields import as_typed
from minitx.config.keys import CONF
from minitx.config.schema import MIXERS, ModelConfig
from minitx.errors import UserError
from minitx.interop.load import CHECKSUM, FORMAT, outputs
from minitx.runs.run import StoredRun

PACKAGE = "minitx_model"
LOADER = "minitx.interop.load"
CHECKED = 8  # tokens whose logits are kept, to compare


def standalone_config(run: StoredRun) -> dict[str, Any]:
    """Return config.json of a model that is not of the `transformers` library."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "minitx_version": version("minitx"),
        "objective": run.config.task.objective.name,
        "sizes": list(run.vocabulary.sizes),
        "model": to_plain(run.config.model),
    }
    named = run.vocabulary.to_plain()
    del named["tokenizer"]  # in files of its own
    return values | named


def check_tensors(run: StoredRun) -> dict[str, Tensor]:
    """Return the inputs and the logits that `python -m minitx_model` compares."""
    length = min(CHECKED, run.config.model.context)
    sizes = [table.num_embeddings for table in run.model.tables]
    inputs = [torch.arange(length)[None] * 7 % size for size in sizes]
    logits = outputs(run.model, inputs)
    return {f"input_{i}": each for i, each in enumerate(inputs)} | {"logits": logits}


def source_files(model: ModelConfig) -> dict[str, str]:
    """Return the files of the package `minitx_model` with their text.

    Raises UserError for a mixer from outside of minitx: its module cannot be copied.
    """
    names = [LOADER, *(MIXERS[name].module for name in model.pattern if name in MIXERS)]
    foreign = [name for name in names if not name.startswith("minitx.")]
    if foreign:
        raise UserError(
            f"model.mixer={as_typed(model.pattern)}: {foreign[0]} is not a module of minitx, and "
            "only those are copied into an export"
        )
    texts = {_file(name): _renamed(_text(name)) for name in _needed(names)}
    texts[f"{PACKAGE}/load.py"] = texts.pop(_file(LOADER))
    folders = {str(Path(file).parent) for file in texts} - {PACKAGE}
    origin = f'"""Copied from minitx {version("minitx")} under the MIT License (see LICENSE)."""\n'
    texts |= {f"{folder}/__init__.py": "" for folder in folders}
    texts[f"{PACKAGE}/__init__.py"] = f"{origin}\nfrom {PACKAGE}.load import load as load\n"
    texts[f"{PACKAGE}/__main__.py"] = f"from {PACKAGE}.load import main\n\nmain()\n"
    texts[f"{PACKAGE}/LICENSE"] = _license()
    return texts


def _needed(names: list[str]) -> list[str]:
    """Return these modules of minitx and all that they import, without packages."""
    found: dict[str, None] = {}
    while names:
        name = names.pop()
        spec = find_spec(name)
        if name in found or spec is None or spec.submodule_search_locations is not None:
            continue
        found[name] = None
        for node in ast.walk(ast.parse(_text(name))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("minitx."):
                module = str(node.module)
                package = find_spec(module)
                inside = package is not None and package.submodule_search_locations is not None
                names += [f"{module}.{each.name}" for each in node.names] if inside else [module]
    return list(found)


def _text(name: str) -> str:
    file = import_module(name).__file__
    assert file is not None
    return Path(file).read_text(encoding="utf-8")


def _file(name: str) -> str:
    return f"{PACKAGE}/{'/'.join(name.split('.')[1:])}.py"


def _renamed(text: str) -> str:
    """Return a module's text that imports from the copies."""
    return re.sub(r"\bminitx\.", f"{PACKAGE}.", text)


def _license() -> str:
    """Return the license of minitx: of the installed package, or of the checkout."""
    file = CONF.parent / "LICENSE"
    installed = distribution("minitx").read_text("licenses/LICENSE")
    return installed or file.read_text(encoding="utf-8")


def standalone_files(run: StoredRun) -> dict[str, bytes]:
    """Return the weights, the check and the source, by the names of their files."""
    state = run.model.state_dict()
    # safetensors does not store one tensor under two names, as tied weights have.
    weights = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    files = {
        "model.safetensors": _with_checksum(weights),
        "check.safetensors": _with_checksum(check_tensors(run)),
    }
    sources = source_files(run.config.model)
    return files | {name: text.encode() for name, text in sources.items()}


def _with_checksum(tensors: dict[str, Tensor]) -> bytes:
    """Return a file in the safetensors format, with the checksum that `load` compares."""
    plain = to_safetensors(tensors)
    header = 8 + int.from_bytes(plain[:8], "little")
    return to_safetensors(tensors, {CHECKSUM: checksum(plain[header:])})
