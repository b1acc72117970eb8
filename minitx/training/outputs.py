"""Callbacks that show what a model predicts: samples and a confusion matrix."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn

from minitx.runs.atomic_write import write_atomically, write_bytes_atomically
from minitx.runs.paths import CONFUSION, SAMPLES
from minitx.tasks.base import Task


class WriteSamples(L.Callback):
    """Write a sample of the model's outputs at each validation: to samples.txt, and to W&B.

    `sample(model, device)` returns the text, or None. It must not draw from torch's own
    generators, so that it does not change the training.
    """

    def __init__(self, folder: Path, sample: Callable[[Any, torch.device], str | None]) -> None:
        self.path = folder / SAMPLES
        self.sample = sample

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or trainer.state.fn != TrainerFn.FITTING:
            return
        sample = self.sample(pl_module.model, pl_module.device)
        if sample is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"--- step {trainer.global_step} ---\n{sample}\n\n")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                rows = [[str(trainer.global_step), sample]]
                logger.log_text("sample", ["step", "text"], rows)

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.is_global_zero and self.path.exists():  # a resumed run writes later ones
            parts = re.split(r"^(?=--- step (\d+) ---$)", self.path.read_text("utf-8"), flags=re.M)
            samples = zip(parts[1::2], parts[2::2], strict=True)
            kept = [text for step, text in samples if int(step) <= trainer.global_step]
            write_atomically(self.path, "".join(kept))


class DrawConfusion(L.Callback):
    """Draw the confusion matrix of the test split: to a picture, and to W&B."""

    def __init__(self, folder: Path, labels: tuple[str, ...]) -> None:
        self.folder, self.labels = folder, labels

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        from minitx.drawing.figures import draw_confusion  # importing matplotlib takes a while

        picture = draw_confusion(pl_module.confusion.cpu().numpy(), self.labels, "test")
        path = self.folder / CONFUSION.format(split="test")
        write_bytes_atomically(path, picture)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("confusion", [str(path)])


def output_callbacks(task: Task, folder: Path) -> list[L.Callback]:
    """Return the callbacks that show a model's outputs in the run's folder."""
    confusion = [DrawConfusion(folder, task.labels)] if task.labels else []
    return [WriteSamples(folder, task.sample), *confusion]
