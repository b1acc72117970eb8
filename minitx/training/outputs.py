"""Callbacks that show what a model predicts: samples and a confusion matrix."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn

from minitx.data.progress import announced
from minitx.errors import WriteError
from minitx.runs.atomic_write import append_whole, write_atomically, write_bytes_atomically
from minitx.runs.paths import CONFUSION, SAMPLES
from minitx.tasks.base import Task
from minitx.terminal.text import note
from minitx.training.trackers import log_image, log_text

TABLE = 100  # samples in the table of W&B, which is written at each validation: the latest ones


class Output(L.Callback):
    """Write files that a run can do without: a failure is reported, and training goes on."""

    reported = False

    @contextmanager
    def writing_output(self) -> Iterator[None]:
        """Suppress every WriteError of such blocks, and report the first."""
        try:
            yield
        except WriteError as error:
            if not self.reported:
                note(f"{error.filename} is left out: {error.strerror}")
            self.reported = True


class WriteSamples(Output):
    """Write a sample of the model's outputs at each validation: to samples.txt, and to W&B.

    `sample(model, device)` returns the text, or None. It must not draw from torch's own
    generators, so that it does not change the training.

    A sample is made in the validation, but written after the checkpoint of the same step. That
    checkpoint contains it: a run that was killed in between writes it when it is resumed.
    """

    def __init__(self, folder: Path, sample: Callable[[Any, torch.device], str | None]) -> None:
        self.path = folder / SAMPLES
        self.sample = sample
        self.unwritten: dict[str, Any] = {}  # `step` and `text`, or empty

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or trainer.state.fn != TrainerFn.FITTING:
            return
        # Every token has a new shape, for which a compiled model would be compiled again.
        with torch.compiler.set_stance("force_eager"):
            sample = self.sample(pl_module.model, pl_module.device)
        if sample is not None:
            self.unwritten = {"step": trainer.global_step, "text": sample}

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self._write(trainer)

    def on_fit_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        if not (self.unwritten and trainer.is_global_zero):
            return
        step, text = self.unwritten["step"], self.unwritten["text"]
        self.unwritten = {}
        earlier = _read_samples(self.path)
        if step in earlier:  # by the run that this one continues
            return
        with self.writing_output():
            append_whole(self.path, f"--- step {step} ---\n{text}\n\n")
        rows = [
            [number, sample.partition("\n")[2].rstrip("\n")] for number, sample in earlier.items()
        ]
        # One table that grows, also over resumptions.
        log_text(trainer, "sample", ["step", "text"], [*rows, [step, text]][-TABLE:])

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Drop the samples that a resumed run writes later, and write one that is missing."""
        if not trainer.is_global_zero:
            return
        samples = _read_samples(self.path)
        kept = {step: text for step, text in samples.items() if step <= trainer.global_step}
        if kept != samples:
            with self.writing_output():
                write_atomically(self.path, "".join(kept.values()))
        self._write(trainer)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.unwritten)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.unwritten = dict(state_dict)


def _read_samples(path: Path) -> dict[int, str]:
    """Return the samples in a file by step, each with its heading."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = re.split(r"^(?=--- step (\d+) ---$)", text, flags=re.M)
    return {int(step): sample for step, sample in zip(parts[1::2], parts[2::2], strict=True)}


class DrawConfusion(Output):
    """Draw the confusion matrix of the test split: to a picture, and to W&B."""

    def __init__(self, folder: Path, labels: tuple[str, ...]) -> None:
        self.folder, self.labels = folder, labels

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        from minitx.drawing.figures import draw_confusion  # importing matplotlib takes a while

        with announced("drawing the confusion matrix"):
            picture = draw_confusion(pl_module.confusion.cpu().numpy(), self.labels, "test")
        path = self.folder / CONFUSION.format(split="test")
        with self.writing_output():
            write_bytes_atomically(path, picture)
            log_image(trainer, "confusion", path)


def output_callbacks(task: Task, folder: Path) -> list[L.Callback]:
    """Return the callbacks that show a model's outputs in the run's folder."""
    confusion = [DrawConfusion(folder, task.labels)] if task.labels else []
    return [WriteSamples(folder, task.sample), *confusion]
