"""study.json: the definition of a study and its runs, for its jobs and its report."""

import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from minitx.config.checksums import read_json
from minitx.config.compose import UNREADABLE, literals, to_plain
from minitx.config.renames import renamed
from minitx.config.schema import StudyConfig
from minitx.config.yaml_files import check_size
from minitx.errors import UserError
from minitx.runs.atomic_write import write_checked_json
from minitx.study.plan.definition import Point, Values
from minitx.study.plan.stored_values import check_plan

FORMAT = 1  # increase it if an older study.json cannot be read
MANIFEST = "study.json"
EVIDENCE = "evidence.zip"  # next to it; see minitx.study.results.evidence
STORED_NAMES = {"swept_values": "rate"}  # by field of `PlannedRun`, where study.json differs


@dataclass(frozen=True)
class PlannedRun:
    """A run: `words` are its overrides for `minitx train`, `swept_values` its values of the sweep.

    Runs with the same results have the same `key`. `swept` runs take part in the sweep. `chosen`
    runs have the values that the sweep chose; they are tested, `details` of them are measured, and
    they count.
    """

    key: str
    point: Point
    swept_values: Values
    seed: int
    words: list[str]
    swept: bool = False
    chosen: bool = False
    details: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The run in words: "lstm, optimizer.muon_lr=0.02, seed 1"."""
        swept = [f"{name}={value}" for name, value in self.swept_values.items()]
        return ", ".join([self.point.label, *swept, f"seed {self.seed}"])


@dataclass
class Manifest:
    """A study and the runs planned so far.

    `measure` is the name of its headline measure in `minitx.metrics.decomposable`, and `command`
    the command line.
    """

    study: StudyConfig
    task: str
    preset: str
    measure: str
    command: str
    runs: list[PlannedRun] = field(default_factory=list)

    def run(self, key: str) -> PlannedRun:
        """Return a run with this key, if possible a chosen one. Raises UserError if none exists."""
        runs = [run for run in self.runs if run.key == key]
        if not runs:
            raise UserError(f"only={key}: the study has no such run; {MANIFEST} lists its runs")
        return max(runs, key=lambda run: run.chosen)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write study.json atomically."""
    head = {"format": FORMAT, "minitx": version("minitx")}
    runs = [
        {STORED_NAMES.get(name, name): value for name, value in to_plain(run).items()}
        for run in manifest.runs
    ]
    write_checked_json(folder / MANIFEST, head | to_plain(manifest) | {"runs": runs})


def read_manifest(folder: Path) -> Manifest:
    """Return what `write_manifest` wrote.

    Raises UserError if there is no study, or if another version wrote it.
    """
    path = folder / MANIFEST
    try:
        values = read_json(path, remedy="delete it, its runs are kept")
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no study: there is no {MANIFEST}") from error
    _check_version(path, values)
    try:
        check_size(values["study"])
        values = renamed(values)
        check_plan(values)
        runs = [_planned(run) for run in values["runs"]]
        study = OmegaConf.to_object(
            OmegaConf.merge(OmegaConf.structured(StudyConfig), literals(values["study"]))
        )
        assert isinstance(study, StudyConfig)
        return Manifest(
            study, values["task"], values["preset"], values["measure"], values["command"], runs
        )
    except (*UNREADABLE, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged ({reason}): delete it, its runs are kept") from error


def _planned(stored: dict[str, Any]) -> PlannedRun:
    for name in (stored["key"], *stored.get("details", [])):
        if not re.fullmatch(r"\w+", name):  # they become names of folders and files
            raise ValueError(f"{name!r} is not the name of a run or a table")
    names = {stored_name: name for name, stored_name in STORED_NAMES.items()}
    values = {names.get(name, name): value for name, value in stored.items()}
    return PlannedRun(**(values | {"point": Point(**values["point"])}))


def _check_version(path: Path, values: Any) -> None:
    """Raise UserError if another version wrote study.json."""
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path} is from another version of minitx (format {found}, this is {FORMAT}): set "
            "another study.dir, or delete it"
        )
