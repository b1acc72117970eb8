"""study.json: what a study is and which runs it consists of, for its jobs and its report."""

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from minitx.config.compose import to_plain
from minitx.config.renames import renamed
from minitx.config.schema import StudyConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import write_json
from minitx.study.plan.definition import Point, Values

FORMAT = 1  # raise it when an older study.json could not be read
MANIFEST = "study.json"


@dataclass(frozen=True)
class PlannedRun:
    """One run: `words` are what scripts/train.py would be told, `rate` what it has of the sweep.

    Runs that would give the same figures have one `key`. `swept` runs take part in the choice of a
    rate; those with the rate that was `chosen` are tested and count, with `details` measured
    beside.
    """

    key: str
    point: Point
    rate: Values
    seed: int
    words: list[str]
    swept: bool = False
    chosen: bool = False
    details: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """For people: "lstm, optimizer.muon_lr=0.02, seed 1"."""
        rate = [f"{name}={value}" for name, value in self.rate.items()]
        return ", ".join([self.point.label, *rate, f"seed {self.seed}"])


@dataclass
class Manifest:
    """A study on its way: what it is, and the runs that were planned so far.

    `measure` is the name in `minitx.metrics.decomposable` of what its models are compared by, and
    `command` what was typed.
    """

    study: StudyConfig
    task: str
    preset: str
    measure: str
    command: str
    runs: list[PlannedRun] = field(default_factory=list)

    def run(self, key: str) -> PlannedRun:
        """The run of that name, of several one that counts. Raises UserError without any."""
        runs = [run for run in self.runs if run.key == key]
        if not runs:
            raise UserError(f"only={key}: the study has no such run; its runs are in {MANIFEST}")
        return max(runs, key=lambda run: run.chosen)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes study.json, whole."""
    head = {"format": FORMAT, "minitx": version("minitx")}
    write_json(folder / MANIFEST, head | to_plain(manifest))


def read_manifest(folder: Path) -> Manifest:
    """What `write_manifest` left.

    Raises UserError where there is no study, or it is from another version.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no study: there is no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    _check_version(path, values)
    values = renamed(values)
    try:
        runs = [PlannedRun(**(run | {"point": Point(**run["point"])})) for run in values["runs"]]
        study = OmegaConf.to_object(
            OmegaConf.merge(OmegaConf.structured(StudyConfig), values["study"])
        )
        assert isinstance(study, StudyConfig)
        return Manifest(
            study, values["task"], values["preset"], values["measure"], values["command"], runs
        )
    except (LookupError, TypeError, OmegaConfBaseException) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, its runs are kept") from error


def _check_version(path: Path, values: Any) -> None:
    """Raises UserError where study.json was written by another version."""
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path} is from another version of minitx (format {found}, this is {FORMAT}): say "
            "another study.dir, or delete it"
        )
