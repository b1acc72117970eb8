"""Load an exported model: with torch and the files of this folder, and nothing else.

    import minitx_model  # the folder that `minitx export` wrote must be on Python's path
    model = minitx_model.load("the/folder")

The package minitx_model holds the source of the model: copies of the modules of minitx that it
consists of. `python -m minitx_model` compares the model with its outputs at the export.
"""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from minitx.config.schema import MODELS
from minitx.models.build import classifier, language_model, sequence_to_sequence

FORMAT = "minitx"
CHECKSUM = "crc32"  # of the numbers, among the metadata of a file
TOLERANCE = 1e-4  # another processor adds in another order
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "language modelling": language_model,
    "sequence to sequence": sequence_to_sequence,
    "classification": classifier,
}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


def load(folder: str | Path = ".") -> nn.Module:
    """Return the model in a folder, in eval mode on the CPU.

    A language model maps tokens int64 (B, T) to logits (B, T, vocabulary) and a state, with which
    it can go on. A sequence-to-sequence model maps a source (B, S), its padding or None, and target
    (B, T) to logits. A classifier maps tokens to logits (B, labels).
    """
    model = build(read_config(folder))
    model.load_state_dict(read_safetensors(Path(folder, "model.safetensors")))
    return model.eval()


def read_config(folder: str | Path = ".") -> dict[str, Any]:
    """Return config.json: the objective, the architecture, the sizes, and a classifier's labels."""
    values: dict[str, Any] = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    if values.get("format") != FORMAT:
        raise ValueError(f"{folder}/config.json is not of a model that minitx exported")
    return values


def build(values: dict[str, Any]) -> nn.Module:
    """Return a model with random weights from the values of config.json."""
    config = MODELS[values["model"]["name"]](**values["model"])
    return BUILDERS[values["objective"]](config, *values["sizes"])


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file in the safetensors format.

    The file begins with the length of a header, 8 bytes, and the header: JSON that gives each
    tensor's type, shape and place in the rest of the file. Nothing in it can be executed. Raises
    ValueError if the rest is not what the checksum in the header is of.
    """
    content = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    data = memoryview(content)[8 + length :]
    known = header.pop("__metadata__", {}).get(CHECKSUM)
    if known not in (None, f"{zlib.crc32(data):08x}"):
        raise ValueError(f"{file} is damaged: export the model again")
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(data[start:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


@torch.no_grad()
def outputs(model: nn.Module, inputs: list[Tensor]) -> Tensor:
    """Return the logits for the inputs: tokens, or a source and a target."""
    source, *target = inputs
    found = model(source, None, *target)
    logits: Tensor = found[0] if isinstance(found, tuple) else found
    return logits


def main() -> None:
    """Print how far the logits are from those at the export.

    Exits with an error if they differ too much.
    """
    check = read_safetensors(Path("check.safetensors"))
    logits = check.pop("logits")
    inputs = [check[name] for name in sorted(check)]
    difference = (outputs(load(), inputs) - logits).abs().max().item()
    print(f"The logits differ by at most {difference:.1e} from those at the export.")
    if not difference <= TOLERANCE * max(1.0, logits.abs().max().item()):
        raise SystemExit("This is not the model that was exported.")
