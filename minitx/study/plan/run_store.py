"""The runs of all studies, each kept once, under a name that its config and its corpus give it.

    <key>/                a run's folder, as scripts/train.py leaves it
    <key>/measured/       what was measured of it; test.json is written last
    <key>.log             what it printed
    <key>.seconds.json    how long it took, all in all
    <key>.failed.json     why it failed, and how often it was tried
    <key>.lock            held by the process that is at it

A run counts as trained once its summary.json says that it finished, and as measured once test.json
is there. Both are written whole, so a process that is killed leaves nothing that counts.
"""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minitx.config.compose import to_plain
from minitx.config.options import idle_options
from minitx.config.renames import OLD_NAMES, renamed
from minitx.config.schema import Config, TransformerConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import write_json
from minitx.runs.paths import SUMMARY
from minitx.study.plan.manifest import PlannedRun

FORMAT = 1  # raise it when the same config would be trained or measured in another way
MEASURED = Path("measured", "test.json")
ATTEMPTS = 2  # a run that failed is tried once more

# What does not change a run's figures: where things lie, and who watches.
PLACES = {
    "data": ("dir", "path", "target_path", "cache_dir", "workers"),
    "trainer": ("watch_attention", "log_every"),
}


# Keys that came later, which change nothing while they are null.
LATER = {"trainer": ("val_tokens",)}


class RunStore:
    """The runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder

    def folder(self, key: str) -> Path:
        return self.root / key

    def log(self, key: str) -> Path:
        return self.root / f"{key}.log"

    def lock(self, key: str) -> Path:
        return self.root / f"{key}.lock"

    def trained(self, key: str) -> bool:
        return self.summary(key).get("status") == "finished"

    def measured(self, key: str, details: list[str]) -> bool:
        """Whether its test figures are there, and those details."""
        folder = self.folder(key)
        return (folder / MEASURED).is_file() and all(
            detail_file(folder, name).is_file() for name in details
        )

    def done(self, run: PlannedRun) -> bool:
        """Whether there is nothing left to do for a run of a plan."""
        return self.measured(run.key, run.details) if run.chosen else self.trained(run.key)

    def busy(self, key: str) -> bool:
        """Whether a process is at it."""
        try:
            with FileLock(self.lock(key), timeout=0):
                return False
        except Timeout:
            return True

    def summary(self, key: str) -> dict[str, Any]:
        """summary.json, or an empty dict without one."""
        return _read(self.folder(key) / SUMMARY)

    def figures(self, key: str) -> dict[str, Any]:
        """What was measured, or an empty dict."""
        return _read(self.folder(key) / MEASURED)

    def failure(self, key: str) -> dict[str, Any]:
        """`reason` and `attempts` of a run that failed, or an empty dict."""
        return _read(self.root / f"{key}.failed.json")

    def given_up(self, key: str) -> bool:
        return self.failure(key).get("attempts", 0) >= ATTEMPTS

    def record_failure(self, key: str, reason: str) -> None:
        attempts = self.failure(key).get("attempts", 0) + 1
        write_json(self.root / f"{key}.failed.json", {"reason": reason, "attempts": attempts})

    def add_seconds(self, key: str, seconds: float) -> None:
        """Adds to the time that was spent on a run."""
        spent = self.seconds(key) + seconds
        write_json(self.root / f"{key}.seconds.json", {"seconds": round(spent, 1)})

    def seconds(self, key: str) -> float:
        """The time that was spent on a run: training, validation, measurements."""
        return float(_read(self.root / f"{key}.seconds.json").get("seconds", 0.0))

    def forget_failure(self, key: str) -> None:
        (self.root / f"{key}.failed.json").unlink(missing_ok=True)


def run_key(config: Config, fingerprint: str, kind: str) -> str:
    """The name of a run, by all that makes its figures what they are.

    `fingerprint` is that of its corpus and tokenizers, `kind` what is done with the config
    ("training", "speed").
    """
    values = renamed(to_plain(config), OLD_NAMES)  # a renamed key leaves a run its name
    for group in ("run", "resume", "logger"):
        del values[group]
    for group, names in PLACES.items():
        for name in names:
            del values[group][name]
    for group, names in LATER.items():
        for name in names:
            if values[group][name] is None:
                del values[group][name]
    if isinstance(config.model, TransformerConfig):  # options that a mixer added later
        for name in set(idle_options(config.model)) - {f.name for f in fields(TransformerConfig)}:
            del values["model"][name]
    text = json.dumps([FORMAT, kind, fingerprint, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def detail_file(folder: Path, name: str) -> Path:
    """Where a table of `measuring.DETAILS` is kept."""
    return folder / MEASURED.parent / f"{name}.csv"


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): delete it, and it is made anew"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds something else than it should: delete it")
    return values
