"""Which checkpoints a run keeps, how they are written, and how long it waits for a better one."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from minitx.runs.atomic_write import write_bytes_atomically
from minitx.runs.paths import LAST


class WriteCheckpoints(TorchCheckpointIO):
    """Replace a checkpoint only by a complete one.

    Lightning's own class writes into the folder for temporary files. If that is another file
    system, it then copies over the previous checkpoint, which a full disk or a kill leaves cut off.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        save_checkpoint(checkpoint, Path(path))


class Checkpoint(ModelCheckpoint):
    """Lightning's callback, which also remembers its best score if the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before, now = state_dict["dirpath"], str(self.dirpath)
        state = {
            name: value.replace(before, now) if isinstance(value, str) else value
            for name, value in state_dict.items()
        }
        scores = state_dict["best_k_models"]
        state["best_k_models"] = {path.replace(before, now): scores[path] for path in scores}
        super().load_state_dict(state)


class KeptCheckpoint(Checkpoint):
    """Keep the best or the latest checkpoints, whose weights are averaged at the end."""


class Patience(EarlyStopping):
    """End a run after `validations` without improvement; a resumed run may change the number."""

    def __init__(self, validations: int) -> None:
        super().__init__("val/loss", patience=validations)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"patience": self.patience})


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically. Raises WriteError."""
    content = io.BytesIO()  # torch hides the error of a file that cannot be written
    torch.save(checkpoint, content)
    write_bytes_atomically(path, content.getbuffer())


def checkpoint(file: Path, monitor: str | None = None) -> Checkpoint:
    return Checkpoint(
        dirpath=file.parent,
        filename=file.stem,
        monitor=monitor,
        save_top_k=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def kept_checkpoints(folder: Path, number: int, which: str) -> KeptCheckpoint:
    return KeptCheckpoint(
        dirpath=folder / LAST.parent,
        filename="kept-{step}",
        monitor="val/loss" if which == "best" else "step",
        mode="min" if which == "best" else "max",
        save_top_k=number,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
