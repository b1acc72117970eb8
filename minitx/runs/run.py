"""A run, opened from its folder or from a single checkpoint."""

import html
import io
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import torch
from torch import nn

from minitx.config.compose import from_plain, to_plain
from minitx.config.paths import full_path
from minitx.config.schema import Config
from minitx.config.tasks import ObjectiveSpec
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.errors import UserError, lacks_memory
from minitx.models.budget import sketch
from minitx.runs.atomic_write import write_bytes_atomically, write_yaml
from minitx.runs.checks import check_objective, check_run
from minitx.runs.paths import BEST, CONFIG, LAST, check_absent, find_checkpoint
from minitx.runs.vocabulary import Vocabulary, vocabulary_from_plain

AnyModel = TypeVar("AnyModel", bound=nn.Module)
AnyVocabulary = TypeVar("AnyVocabulary", bound=Vocabulary)


@dataclass(repr=False)
class StoredRun(Generic[AnyModel, AnyVocabulary]):
    """A trained run: `model` in eval mode on `device`, `vocabulary`, `config`.

    `path` is its checkpoint, which was written after `step` optimizer steps. `data_fingerprint`
    identifies the corpus and its tokenizer.
    """

    model: AnyModel
    vocabulary: AnyVocabulary
    config: Config
    path: Path
    step: int
    data_fingerprint: str
    device: torch.device

    @classmethod
    def open(
        cls, path: str | Path, device: str | torch.device = "cpu", *, last: bool = False
    ) -> Self:
        """Open a run's folder, at its best checkpoint or its `last`, or a .ckpt file.

        The averaged weights are the best if the run has kept them: it keeps them only if they are
        better.

        Nothing in the file is executed: it is read with torch's `weights_only=True`.
        Raises UserError if there is no checkpoint, or it is damaged, or minitx did not write it.
        """
        file = find_checkpoint(Path(full_path(path, "run")), last=last)
        checkpoint = read_checkpoint(file)
        archive = checkpoint["hyper_parameters"]
        config = from_plain(archive["config"])
        vocabulary: Any = vocabulary_from_plain(config.task.objective, archive)
        weights = {
            name.removeprefix("model."): tensor
            for name, tensor in checkpoint["state_dict"].items()
            if name.startswith("model.")
        }
        try:
            shapes = {name: tensor.to("meta") for name, tensor in weights.items()}
            sketch(lambda: vocabulary.build(config.model)).load_state_dict(shapes)
            model = vocabulary.build(config.model)
            model.load_state_dict(weights)
        except ValueError as error:
            raise UserError(f"{file}: no model can be built from its config ({error})") from error
        except RuntimeError as error:
            if lacks_memory(error):
                raise
            reason = " ".join(str(error).splitlines()[:2][-1].split())
            raise UserError(f"{file}: its weights do not fit its own config ({reason})") from error
        where = _device(device)
        return cls(
            model.eval().to(where),
            vocabulary,
            config,
            file,
            checkpoint["global_step"],
            archive["data_fingerprint"],
            where,
        )

    @property
    def tokenizer(self) -> Tokenizer | SequenceTokenizer:
        """The tokenizer. Raises AttributeError for pairs, which have two."""
        found: Tokenizer | SequenceTokenizer = self.vocabulary.tokenizer  # type: ignore
        return found

    @property
    def folder(self) -> Path:
        """The run's folder, or that of its file, where results about the run are written."""
        parent = self.path.parent
        return parent.parent if parent.name == LAST.parent.name else parent

    @property
    def title(self) -> str:
        """The model, the task and the step: "transformer on cmudict, step 9,000".

        Mixers other than attention are named: "transformer (lstm, attention) on cmudict, ...".
        """
        model = self.config.model
        plain = model.pattern in ([model.name], ["attention"])
        name = model.name if plain else f"{model.name} ({', '.join(model.pattern)})"
        if not self.step:  # minitx.from_transformers
            return f"{name} that was trained elsewhere"
        return f"{name} on {self.config.task.name}, step {self.step:,}"

    def save(self, folder: str | Path) -> None:
        """Write the run into a new folder, which every command opens: run=<folder>.

        It holds config.yaml, the tokenizer and one checkpoint. Raises UserError if the folder
        exists, or if the tokenizer has parts that no tokenizer of minitx has, and WriteError if it
        cannot be written.
        """
        place, saved = Path(full_path(folder, "folder")), self.vocabulary.to_plain()
        check_absent(place, "folder")
        try:
            vocabulary_from_plain(self.config.task.objective, saved)
        except UserError as error:
            raise UserError(f"{self!r} cannot be saved: {error}") from error
        config = to_plain(self.config)
        archive = {"config": config, **saved, "data_fingerprint": self.data_fingerprint}
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        content = io.BytesIO()
        torch.save(
            {"state_dict": state, "hyper_parameters": archive, "global_step": self.step}, content
        )
        write_yaml(place / CONFIG, config)
        self.vocabulary.write(place)
        write_bytes_atomically(place / BEST, content.getbuffer())

    def __repr__(self) -> str:
        return f"Run({self.title}, {str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = {
            "objective": self.config.task.objective.name,
            "checkpoint": str(self.path),
            "device": str(self.device),
        }
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items()
        )
        return f"<table><caption>{html.escape(self.title)}</caption>{cells}</table>"


def load_for(objective: ObjectiveSpec, path: str | None, device: str) -> StoredRun:
    """Open a run as `StoredRun.open` does, for a command that serves one objective.

    Raises UserError also if no run was named, or if it has another objective.
    """
    run: StoredRun = StoredRun.open(check_run(path), device)
    check_objective(str(path), run.config, objective)
    return run


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors and plain values, on the CPU.

    Raises UserError for a file that is damaged, that would run code, or that minitx did not write.
    """
    refused = UserError(
        f"{file} is refused: it is damaged, or holds more than tensors and plain values, which "
        "could run code; minitx opens only checkpoints that it wrote"
    )
    damaged = UserError(f"{file} is damaged or not a checkpoint: it cannot be unpacked")
    try:
        with file.open("rb") as content:
            if not zipfile.is_zipfile(content):  # in an older format of torch, without checksums
                raise refused
        if not _is_whole(file):
            raise damaged
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about pickles that are not torch's, which are refused anyway
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        raise refused from error
    except UserError:
        raise
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise damaged from error
    if not (
        _has(checkpoint, "state_dict", "hyper_parameters", "global_step")
        and _has(checkpoint["hyper_parameters"], "config", "tokenizer", "data_fingerprint")
        and _has(checkpoint["state_dict"])
        and all(isinstance(value, torch.Tensor) for value in checkpoint["state_dict"].values())
        and isinstance(checkpoint["global_step"], int)
    ):
        raise UserError(
            f"{file} is a checkpoint, but not one of minitx: it holds no config and tokenizer"
        )
    return checkpoint


def _is_whole(file: Path) -> bool:
    """Return whether the parts of a checkpoint have their checksums. torch does not compare them.

    torch compresses nothing, so a short file with compressed parts is not torch's: they could fill
    the memory.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
        fits = sum(part.file_size for part in parts) <= file.stat().st_size
        return stored and fits and archive.testzip() is None


def _has(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and set(names) <= value.keys()


def _device(device: str | torch.device) -> torch.device:
    try:
        where = torch.device(device)
        torch.zeros(1, device=where).item()  # tensors on the device "meta" hold no data
    except (RuntimeError, AssertionError, ImportError) as error:
        there = ["cpu"]
        if torch.accelerator.is_available():
            there.append(str(torch.accelerator.current_accelerator()))
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device={device} is not available here (use {' or '.join(there)}): {reason}"
        ) from error
    return where
