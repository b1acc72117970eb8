"""Loggers: metrics.csv always, and W&B or TensorBoard if they are configured."""

import csv
import io
import re
import uuid
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from minitx.config.schema import LoggerConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import write_atomically
from minitx.runs.growing_file import append, read_checked, write_whole
from minitx.runs.paths import METRICS


class MetricsFile(Logger):
    """metrics.csv: a row for each step at which something was logged. New metrics add columns.

    Lightning's CSVLogger overwrites its file when a run is resumed. This one continues it, after
    `keep_until(step)` has dropped the rows that the resumed run will write again.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / METRICS
        self.columns = ["step"]
        self.row: dict[str, Any] = {}
        self.written: int | None = None  # step of the latest row in the file
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file), self.columns)

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """The config has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add to the row of this step. A row is written when the next one begins."""
        if self.row and self.row["step"] != step:
            self.save()
        self.row.update(metrics, step=step or 0)

    @rank_zero_only
    def save(self) -> None:
        """Write the current row."""
        if not self.row:
            return
        new = [name for name in self.row if name not in self.columns]
        continued = self.row["step"] == self.written  # as in the test after the last validation
        if new or continued or not self.path.exists():
            rows = self._rows()
            if continued:
                self.row = rows.pop() | self.row
            self._rewrite(rows, self.columns + new)
        self.written = self.row["step"]
        append(self.path, self._text([self.row]))
        self.row = {}

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last row."""
        self.save()

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Drop the rows after `step`."""
        if self.path.exists():
            self._rewrite([r for r in self._rows() if int(r["step"]) <= step], self.columns)

    def best(self, name: str) -> dict[str, float]:
        """Return the row with the lowest value of a metric; empty if it was never measured."""
        measured = [row for row in self._rows() if row.get(name)]
        lowest = min(measured, key=lambda row: float(row[name]), default={})
        return {metric: float(value) for metric, value in lowest.items() if value}

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        return list(csv.DictReader(io.StringIO(read_checked(self.path).decode(), newline="")))

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.columns = columns
        write_whole(self.path, self._text([dict(zip(columns, columns, strict=True)), *rows]))

    def _text(self, rows: list[dict[str, Any]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerows(rows)
        return text.getvalue()


def make_tracker(config: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> Logger | None:
    """Return the tracker that the config names in addition to metrics.csv, or None.

    The id of the W&B run is kept in the folder, so it is the same when the run is resumed. An
    offline run that is resumed leaves a second offline folder in the same W&B group.
    """
    if config.name == "wandb":
        tracker = WandbLogger(
            name=folder.name,
            id=_wandb_id(folder),
            group=config.group or folder.name,
            project=config.project,
            save_dir=folder.resolve(),  # W&B's own process may have another working directory
            offline=config.mode == "offline",
            mode=config.mode,  # Lightning's `offline` sets a variable that W&B reads only once
            log_model=config.mode == "online",
            config=run_config,
            settings={"silent": config.mode == "offline"},
        )
        tracker._wandb_init.pop("anonymous")  # Lightning passes what W&B warns about
        return tracker
    if config.name == "tensorboard":
        return TensorBoardLogger(folder, name="tensorboard", version="")
    return None


def _wandb_id(folder: Path) -> str:
    """Return the W&B id of the run in this folder, which is drawn once and kept there."""
    path = folder / "wandb" / "id.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, uuid.uuid4().hex[:8])
    found = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"\w{1,64}", found):  # it becomes the name of a folder
        raise UserError(f"{path} is not the id of a W&B run: delete it")
    return found
