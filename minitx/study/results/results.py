"""What a study has found so far: all that its report is made from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from minitx.config.schema import StudyConfig
from minitx.metrics.decomposable import Measure

FINISHED, FAILED, MISSING = "finished", "failed", "missing"
SEVERAL = "; "  # between the values of a fact in which runs differ


@dataclass(frozen=True, eq=False)  # tables have no hash; this has that of its identity
class Results:
    """A study's runs and their measurements. Once they are collected, nothing changes them.

    `runs` has a row for every run of the plan, in the plan's order:

    - `key` (the run's name in the run store), `folder`, `status` (finished, failed or missing),
      `reason` (why it failed, else "")
    - `arm`; a column for each key of the grid, under its own name ("model.heads"); a column for
      each key of the sweep ("optimizer.muon_lr"); `seed`
    - `swept`: whether the run took part in the sweep, which has its own seed; `chosen`: whether it
      has the values that were chosen for its arm and point of the grid, so that it counts as one of
      their seeds
    - from summary.json: `parameters`, `parameters_non_embedding`, `steps`, `tokens_seen`,
      `train_seconds`, `cpu_seconds`, `threads`, `ended_by`, `tokens_per_second`,
      `peak_memory_mb`, `data_fingerprint`
    - metrics: "val/loss", ..., and for chosen runs "test/..."; see `measure`
    - `operations_per_token` (floating-point operations of a forward pass), `state_size` (numbers
      that the model keeps of a text as long as its context), `latency_ms` (of generating one token,
      batch size 1)

    Unknown numbers are NaN.

    `curves` has a row for every validation of every run: `key`, `step`, `tokens_seen`,
    `train_seconds`, and the metrics on val ("val/loss", ...).

    `items` has, for the key of each finished chosen run, the terms of the headline measure for each
    test item: (items, k), float64, the same items in the same order for all runs. `clusters` has
    the number of the cluster of test items (a scene, a family of words) that each of them belongs
    to: int64 (items,). Runs that an earlier version measured have none.

    `details` has further measurements as tables, by the run's key and the name of the measurement
    (see `minitx.study.measure.measuring`).

    `task` is the task or, if the grid has several, the first one.

    `settings` has, for each arm, the full config of its first run that counts, as values by key
    (see `minitx.study.results.settings`).

    `command` trains what is missing and draws the report again. `facts` describes the machine and
    the code in words, in the order of the report: "processor", "cores", "threads", "torch", ...
    """

    study: StudyConfig
    task: str
    preset: str
    measure: Measure
    runs: pd.DataFrame
    curves: pd.DataFrame
    items: dict[str, np.ndarray]
    details: dict[str, dict[str, pd.DataFrame]]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    command: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def title(self) -> str:
        several = "task" in self.study.grid
        return self.study.name if several else f"{self.study.name} on {self.task}"

    @property
    def metric(self) -> str:
        """The column of the headline measure in `runs`."""
        return f"test/{self.measure.name}"

    @property
    def axes(self) -> list[str]:
        """The keys of the grid, which are columns of `runs`."""
        return list(self.study.grid)

    @property
    def chosen(self) -> pd.DataFrame:
        """The runs that count: all seeds of each arm and point, with the values chosen for it."""
        return self.runs[self.runs["chosen"]]

    @property
    def finished(self) -> pd.DataFrame:
        """The runs of `chosen` that have finished."""
        chosen = self.chosen
        return chosen[chosen["status"] == FINISHED]
