"""What a study has found so far: all that its report is drawn from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from minitx.config.schema import StudyConfig
from minitx.metrics.decomposable import Measure

FINISHED, FAILED, MISSING = "finished", "failed", "missing"


@dataclass(frozen=True)
class Results:
    """A study's runs and what was measured of them.

    `runs` has a row for every run of the plan, in the plan's order:

    - `key` (its name among all runs), `folder`, `status` (finished, failed or missing), `reason`
      (why it failed, else "")
    - `arm`, the model as the study calls it; a column for each key of the grid, under its own name
      ("model.heads"); a column for each key of the sweep ("optimizer.muon_lr"); `seed`
    - `swept`: whether it took part in the choice of the rate; `chosen`: whether it has the rate
      that its arm and point of the grid were given, so that it counts as one of their seeds
    - what summary.json holds: `parameters`, `parameters_non_embedding`, `steps`, `tokens_seen`,
      `train_seconds`, `tokens_per_second`, `peak_memory_mb`, `data_fingerprint`
    - metrics: "val/loss", ..., and of the chosen ones "test/...": see `measure`
    - `operations_per_token` (floating-point operations of a forward pass), `state_size` (numbers
      that the model keeps of a text as long as its context), `latency_ms` (one token generated,
      batch of one)

    Numbers that are not known are NaN.

    `curves` has a row for every validation of every run: `key`, `step`, `tokens_seen`,
    `train_seconds`, and the metrics of val ("val/loss", ...).

    `items` holds, for the key of each finished run that was chosen, what each item of test adds to
    the headline measure: (items, k), float64, the same items in the same order for all runs.

    `details` holds what else was measured of a run, by key and by what: a table each
    (`minitx.study.measure.measuring`).

    `settings` holds, for each arm, what its first run that counts was set to in the end, by the
    keys of its config (`minitx.study.results.settings`).

    `command` draws the report again and trains what is missing; `facts` says where all this was
    done, in words and in the order of the report: "processor", "cores", "threads", "torch", ...
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

    @property
    def metric(self) -> str:
        """The headline's column in `runs`."""
        return f"test/{self.measure.name}"

    @property
    def axes(self) -> list[str]:
        """The keys of the grid, which are columns of `runs`."""
        return list(self.study.grid)

    @property
    def chosen(self) -> pd.DataFrame:
        """The runs that count: of each arm and point of the grid, all seeds at its best rate."""
        return self.runs[self.runs["chosen"]]

    @property
    def finished(self) -> pd.DataFrame:
        """Those of `chosen` that have figures."""
        chosen = self.chosen
        return chosen[chosen["status"] == FINISHED]

    @property
    def arms(self) -> list[str]:
        """In the order of the study, which is that of tables and colours."""
        return list(dict.fromkeys(self.runs["arm"]))
