"""summary.json: what was trained, on what, for how long, and how good it is."""

import sys
from contextlib import suppress
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from minitx.config.schema import Config
from minitx.errors import StoppedByUser, WriteError
from minitx.models.language_model import count_parameters
from minitx.runs.atomic_write import write_checked_json
from minitx.runs.paths import SUMMARY
from minitx.training.callbacks import Clock
from minitx.training.environment import forget_peak, git_commit, peak_memory
from minitx.training.loggers import MetricsFile

# The user's ways to stop a run. The last two are signals that `stoppable` does not handle.
INTERRUPTIONS = (StoppedByUser, KeyboardInterrupt, SystemExit)


class Summary:
    """Collects the figures of a run and writes them.

    As a context manager, it writes the status of the run: "running" at the beginning, and at the
    end "finished", "interrupted" or "failed".

    `fingerprint` identifies the corpus and its tokenizers, `data` describes the training data.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        model: nn.Module,
        fingerprint: str,
        data: dict[str, Any],
        clock: Clock,
        trainer: L.Trainer,
    ) -> None:
        self.path = folder / SUMMARY
        self.clock, self.trainer = clock, trainer
        self.device = trainer.strategy.root_device
        forget_peak()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        parameters, non_embedding = count_parameters(model)
        packages = ("minitx", "torch", "lightning", "tokenizers")
        versions = {package: version(package) for package in packages}
        versions["torch"] = torch.__version__  # it names the build, which its package may not
        self.facts: dict[str, Any] = {
            "task": config.task.name,
            "model": config.model.name,
            "parameters": parameters,
            "parameters_non_embedding": non_embedding,
            "seed": config.seed,
            "data": data,
            "data_fingerprint": fingerprint,
            "git_commit": git_commit(),
            "versions": {"python": sys.version.split()[0]} | versions,
        }
        self.table = MetricsFile(folder)
        self.val: dict[str, float] = {}  # metrics on all of val, after the fit
        self.ended_by: str | None = None  # the key of `trainer` that ended the training

    def __enter__(self) -> "Summary":
        self.write("running")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.write("finished")
        else:
            with suppress(WriteError):  # it would replace the error that ended the run
                self.write("interrupted" if issubclass(kind, INTERRUPTIONS) else "failed")

    def write(self, status: str) -> None:
        """Write the file with a status. Only the process of rank 0 does."""
        if not self.trainer.is_global_zero:
            return
        # Of the best checkpoint, which is also tested and opened by default.
        val = self.val or self.table.best("val/loss")
        test = self.trainer.callback_metrics
        metrics = {name: value for name, value in val.items() if name.startswith("val/")}
        metrics |= {name: float(test[name]) for name in test if name.startswith("test/")}
        seconds = self.clock.training_seconds
        figures = {
            "status": status,
            "ended_by": self.ended_by,
            "steps": self.trainer.global_step,
            "tokens_seen": self.clock.tokens,
            "train_seconds": round(seconds, 3),
            "cpu_seconds": self._cpu_seconds(),
            "threads": torch.get_num_threads(),
            "tokens_per_second": round(self.clock.tokens / seconds, 1) if seconds else None,
            "peak_memory_mb": round(self._peak_memory() / 1e6, 1),
            "metrics": metrics,
        }
        write_checked_json(self.path, self.facts | figures)

    def _cpu_seconds(self) -> float | None:
        """Return the time of all cores in training, or None if another device did the work."""
        cpu_seconds = self.clock.cpu_seconds
        on_cpu = self.device.type == "cpu"
        return round(cpu_seconds, 3) if on_cpu and isfinite(cpu_seconds) else None

    def _peak_memory(self) -> int:
        """Return bytes: those of a GPU, else the process's largest resident size."""
        on_gpu = self.device.type == "cuda"
        return torch.cuda.max_memory_allocated(self.device) if on_gpu else peak_memory()
