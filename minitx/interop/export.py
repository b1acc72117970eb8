"""Write a trained model as files that other programs load."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors

from minitx.config.schema import ExportConfig, TransformerConfig
from minitx.interop.card import model_card
from minitx.interop.counterparts import Counterpart, counterpart_of, no_counterpart
from minitx.interop.standalone import PACKAGE, standalone_config, standalone_files
from minitx.interop.upload import upload
from minitx.runs.atomic_write import TEMPORARY, writing
from minitx.runs.checks import check_run
from minitx.runs.paths import check_absent
from minitx.runs.run import StoredRun
from minitx.terminal.text import say


@dataclass(frozen=True)
class Export:
    """What was exported: the model's kind in `transformers`, or None, and the folder."""

    counterpart: Counterpart | None
    folder: Path
    files: tuple[str, ...]
    address: str | None = None  # of the upload


def export_run(config: ExportConfig) -> Export:
    """Write the run's model into the folder `config.to`, and upload it if `config.push` says so.

    The folder appears when it is complete. Raises UserError if it exists or cannot be written, if
    the model has no counterpart in `transformers` and one was asked for, and as `upload`.
    """
    run: StoredRun = StoredRun.open(check_run(config.run))
    counterpart = counterpart_of(run.config) if config.format != "torch" else None
    if counterpart is None and config.format == "transformers":
        raise no_counterpart(run.config)
    folder = Path(str(config.to))
    files = export_files(run, counterpart)
    write_folder(folder, files)
    address = None if config.push is None else upload(folder, config.push)
    return Export(counterpart, folder, tuple(files), address)


def export_files(run: StoredRun, counterpart: Counterpart | None) -> dict[str, bytes]:
    """Return the content of every file of an export, by the file's name."""
    files = {"README.md": model_card(run, counterpart).encode()}
    if counterpart is None:
        return (
            files
            | {"config.json": _json(standalone_config(run))}
            | _tokenizers(run)
            | standalone_files(run)
        )
    model = run.config.model
    assert isinstance(model, TransformerConfig)  # no other has a counterpart
    weights = run.model.state_dict()
    renamed = counterpart.layout.to_other(weights, model.layers, model.tie_embeddings)
    return files | {
        "config.json": _json(counterpart.config_json(model, run.tokenizer.vocab_size)),
        "generation_config.json": _json({"do_sample": True}),
        "model.safetensors": to_safetensors(renamed, {"format": "pt"}),
        "tokenizer.json": run.tokenizer.to_json().encode(),
        "tokenizer_config.json": _json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": model.context,
                "clean_up_tokenization_spaces": False,
            }
        ),
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files into a new folder, which appears when it is complete.

    Raises UserError if the folder exists, and WriteError if it cannot be written.
    """
    check_absent(folder, "to")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(TEMPORARY, f".{folder.name}.", folder.parent))
        try:
            for name, content in files.items():
                file = temporary / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            os.chmod(temporary, (temporary / "README.md").stat().st_mode | 0o111)
            os.rename(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def show_export(export: Export) -> None:
    """Print what was written, and how it is loaded."""
    if export.counterpart is None:
        say("a model that needs only torch:")
        lines = [
            "import sys",
            f"sys.path.append({str(export.folder)!r})",
            f"import {PACKAGE}",
            f"model = {PACKAGE}.load({str(export.folder)!r})",
        ]
    else:
        say(f"{export.counterpart.name} ({export.counterpart.architecture}):")
        lines = [
            "from transformers import AutoModelForCausalLM",
            f"model = AutoModelForCausalLM.from_pretrained({str(export.folder)!r})",
        ]
    for line in lines:
        say(f"  {line}")
    for name in export.files:
        if not name.startswith(PACKAGE):
            say(f"  {export.folder / name}")
    if export.counterpart is None:
        say(f"  {export.folder / PACKAGE}")
    if export.address is not None:
        say(f"uploaded as a private model: {export.address}")


def _tokenizers(run: StoredRun) -> dict[str, bytes]:
    plain = run.vocabulary.to_plain()["tokenizer"]
    if isinstance(plain, str):
        return {"tokenizer.json": plain.encode()}
    return {f"tokenizer/{side}.json": text.encode() for side, text in plain.items()}


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
