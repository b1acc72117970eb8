"""A finished or running training, opened from its folder or from a checkpoint alone."""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from minitx.config.compose import from_plain
from minitx.config.schema import Config
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.errors import UserError
from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.checks import check_objective, check_run
from minitx.runs.paths import LAST, find_checkpoint
from minitx.runs.vocabulary import PairVocabulary, Vocabulary, vocabulary_from_plain


@dataclass
class Run:
    """What a training leaves: `model` in eval mode on `device`, `vocabulary`, `config`.

    `path` is the checkpoint it came from, `step` the optimizer steps it had taken, and
    `data_fingerprint` tells the corpus and its tokenizer from others.
    """

    model: LanguageModel | Seq2Seq | Classifier
    vocabulary: Vocabulary
    config: Config
    path: Path
    step: int
    data_fingerprint: str
    device: torch.device

    @property
    def tokenizer(self) -> Tokenizer | SequenceTokenizer:
        """The one tokenizer. Raises AttributeError for pairs, which have two."""
        if isinstance(self.vocabulary, PairVocabulary):
            raise AttributeError("two tokenizers: run.vocabulary.source, run.vocabulary.target")
        return self.vocabulary.tokenizer

    @property
    def folder(self) -> Path:
        """Where what is found out about the run is written: its folder, or that of its file."""
        parent = self.path.parent
        return parent.parent if parent.name == LAST.parent.name else parent


def load(path: str | Path, device: str | torch.device = "cpu", *, last: bool = False) -> Run:
    """Opens a run's folder (its best checkpoint, or its last) or a .ckpt file.

    Best is the one with the averaged weights where there is one: it is kept only if it is better.

    Nothing in the file is executed: it is read with torch's `weights_only=True`.
    Raises UserError where there is no checkpoint, or it is damaged, or not one of minitx.
    """
    file = find_checkpoint(Path(path), last=last)
    checkpoint = read_checkpoint(file)
    archive = checkpoint["hyper_parameters"]
    config = from_plain(archive["config"])
    vocabulary = vocabulary_from_plain(config.task.objective, archive)
    try:
        model = vocabulary.build(config.model)
    except ValueError as error:
        raise UserError(f"{file}: no model can be built from its config ({error})") from error
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("model.")
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise UserError(f"{file}: its weights do not fit its own config ({reason})") from error
    where = _device(device)
    return Run(
        model.eval().to(where),
        vocabulary,
        config,
        file,
        checkpoint["global_step"],
        archive["data_fingerprint"],
        where,
    )


def load_for(objective: str, path: str | None, device: str) -> Run:
    """As `load`, for a script that serves one objective.

    Raises UserError also where no run was named, or it has another objective.
    """
    run = load(check_run(path), device)
    check_objective(str(path), run.config, objective)
    return run


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The checkpoint's tensors and plain values, on the CPU.

    Raises UserError for a file that is damaged, that would run code, or that is not ours.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles unlike torch's, which are refused anyway
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{file} is refused: it is damaged, or holds more than tensors and plain values, which "
            "could run code; minitx opens only checkpoints that it wrote"
        ) from error
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise UserError(f"{file} is damaged or not a checkpoint: it cannot be unpacked") from error
    if not (
        _has(checkpoint, "state_dict", "hyper_parameters", "global_step")
        and _has(checkpoint["hyper_parameters"], "config", "tokenizer", "data_fingerprint")
        and _has(checkpoint["state_dict"])
    ):
        raise UserError(
            f"{file} is a checkpoint, but not one of minitx: it holds no config and tokenizer"
        )
    return checkpoint


def _has(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and set(names) <= value.keys()


def _device(device: str | torch.device) -> torch.device:
    try:
        where = torch.device(device)
        torch.zeros(1, device=where).item()  # the device "meta" makes tensors that hold nothing
    except (RuntimeError, AssertionError, ImportError) as error:
        there = ["cpu"]
        if torch.accelerator.is_available():
            there.append(str(torch.accelerator.current_accelerator()))
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device={device} is not to be had here, {' and '.join(there)} is: {reason}"
        ) from error
    return where
