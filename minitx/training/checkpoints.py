"""Which checkpoints a run keeps, how they are written, and how long it waits for a better one."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from minitx.runs.atomic_write import write_bytes_atomically
from minitx.runs.paths import LAST
from minitx.runs.run import read_checkpoint


class CheckpointFiles(TorchCheckpointIO):
    """Replace a checkpoint only by a complete one, and refuse to read a damaged one.

    Lightning's own class writes into the folder for temporary files. If that is another file
    system, it then copies over the previous checkpoint, which a full disk or a kill leaves cut off.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        save_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path))


class Checkpoint(ModelCheckpoint):
    """Lightning's callback, which also remembers its best score if the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores, and the names of the files, which are in the folder of this run.

        Lightning deletes the files that it replaces, so no path from a file may lead elsewhere.
        """

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), f"{Path(path).stem}.ckpt")) if path else ""

        state = state_dict | {"dirpath": self.dirpath}
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = here(state[name])
        scores = state_dict["best_k_models"]
        state["best_k_models"] = {here(path): scores[path] for path in scores}
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
