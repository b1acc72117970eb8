"""metrics.csv, the record of a run."""

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

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
            self.written = _last_step(self._rows())

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
        """Do nothing: the config has a file of its own."""

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
            before = rows.pop() if continued else {}
            self._rewrite([*rows, before | self.row], self.columns + new)
        else:
            append(self.path, _csv([self.row], self.columns))
        self.written, self.row = self.row["step"], {}

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last row."""
        self.save()

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Drop the rows after `step`."""
        if self.path.exists():
            kept = [row for row in self._rows() if int(row["step"]) <= step]
            self._rewrite(kept, self.columns)
            self.written = _last_step(kept)

    def best(self, name: str) -> dict[str, float]:
        """Return the row with the lowest value of a metric; empty if it was never measured."""
        measured = [row for row in self._rows() if row.get(name)]
        lowest = min(measured, key=lambda row: float(row[name]), default={})
        return {metric: float(value) for metric, value in lowest.items() if value}

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        lines = io.StringIO(read_checked(self.path).decode(), newline="")
        # A process that was killed may have left a part of its last row.
        return list(csv.DictReader(line for line in lines if line.endswith("\n")))

    def _rewrite(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        write_whole(self.path, _csv([dict(zip(columns, columns, strict=True)), *rows], columns))
        self.columns = columns


def _csv(rows: list[dict[str, Any]], columns: list[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns).writerows(rows)
    return text.getvalue()


def _last_step(rows: list[dict[str, str]]) -> int | None:
    return int(rows[-1]["step"]) if rows else None
