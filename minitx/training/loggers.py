"""Where metrics go: metrics.csv always, and W&B or TensorBoard beside it."""

import csv
import io
import uuid
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from minitx.config.schema import LoggerConfig
from minitx.runs.atomic_write import write_atomically
from minitx.runs.paths import METRICS


class MetricsFile(Logger):
    """metrics.csv: one row for each step at which anything was logged, columns as they come.

    Lightning's own CSVLogger starts its file anew on resume; this one goes on with it, after
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
        """Adds to the row of this step; a row is written once the next one begins."""
        if self.row and self.row["step"] != step:
            self.save()
        self.row.update(metrics, step=step or 0)

    @rank_zero_only
    def save(self) -> None:
        """Writes the row that is being collected."""
        if not self.row:
            return
        new = [name for name in self.row if name not in self.columns]
        continued = self.row["step"] == self.written  # as by the test after the last validation
        if new or continued or not self.path.exists():
            rows = self._rows()
            if continued:
                self.row = rows.pop() | self.row
            self._rewrite(rows, self.columns + new)
        self.written = self.row["step"]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(self.row)
        self.row = {}

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes what is left."""
        self.save()

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Drops the rows after `step`."""
        if self.path.exists():
            self._rewrite([r for r in self._rows() if int(r["step"]) <= step], self.columns)

    def best(self, name: str) -> dict[str, float]:
        """The row where this metric was lowest; empty where it was never measured."""
        measured = [row for row in self._rows() if row.get(name)]
        lowest = min(measured, key=lambda row: float(row[name]), default={})
        return {metric: float(value) for metric, value in lowest.items() if value}

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.columns = columns
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.path, text.getvalue())


def make_tracker(config: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> Logger | None:
    """The tracker beside metrics.csv that the config names, or None.

    The W&B run is named after the folder, which makes its id the same when the run is resumed; an
    offline run that is resumed leaves a second offline folder in the same W&B group.
    """
    if config.name == "wandb":
        tracker = WandbLogger(
            name=folder.name,
            id=_wandb_id(folder),
            group=config.group or folder.name,
            project=config.project,
            save_dir=folder.resolve(),  # W&B's own process may work in another directory
            offline=config.mode == "offline",
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
    """An id for the run in this folder, drawn once and kept beside what W&B writes."""
    path = folder / "wandb" / "id.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, uuid.uuid4().hex[:8])
    return path.read_text(encoding="utf-8").strip()
