"""The run store: the runs of all studies, each stored once under a hash of its config and corpus.

    <key>/                the run's folder, as `minitx train` writes it
    <key>/measured/       its measurements; test.json is written last
    <key>.log             its output
    <key>.seconds.json    the time it took in total
    <key>.failed.json     why it failed, and the number of attempts
    <key>.lock            held by the process that does the run

A run is trained if its summary.json says that it finished, and measured if test.json exists. Both
are written atomically, so a killed process leaves no run that looks finished.
"""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minitx.config.checksums import checksum, read_json
from minitx.config.compose import to_plain
from minitx.config.options import idle_options
from minitx.config.renames import OLD_NAMES, renamed
from minitx.config.schema import Config, TransformerConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import write_checked_json
from minitx.runs.paths import SUMMARY
from minitx.study.plan.manifest import PlannedRun
from minitx.study.plan.stored_values import check_figures

FORMAT = 1  # increase it if the same config gives other results
MEASURED = Path("measured", "test.json")
ATTEMPTS = 2  # a failed run is tried once more

# Keys that do not change a run's results: paths, workers and logging.
PLACES = {
    "data": ("dir", "path", "target_path", "cache_dir", "workers"),
    "trainer": ("watch_attention", "log_every"),
}


# Keys of later versions, with the values that they had before they were keys.
LATER: dict[str, dict[str, Any]] = {
    "task": {"train_length": 40, "test_lengths": None, "depth": 5},
    "budget": {"non_embedding": None},
    "trainer": {"val_tokens": None, "goal": None, "threads": None, "fused": True},
    "model": {
        "norm_eps": None,
        "rotary_base": 10_000.0,
        "expansion": 1,
        "state_dim": None,
        "decay": "gated",
        "convolution": 4,
        "negative_eigenvalues": False,
    },
}


class RunStore:
    """The run store in a folder."""

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
        """Return whether the run has its test metrics and these details."""
        folder = self.folder(key)
        return (folder / MEASURED).is_file() and all(
            detail_file(folder, name).is_file() for name in details
        )

    def done(self, run: PlannedRun) -> bool:
        """Return whether a planned run needs no more work."""
        return self.measured(run.key, run.details) if run.chosen else self.trained(run.key)

    def busy(self, key: str) -> bool:
        """Return whether a process is doing the run."""
        try:
            with FileLock(self.lock(key), timeout=0):
                return False
        except Timeout:
            return True

    def summary(self, key: str) -> dict[str, Any]:
        """Return summary.json, or an empty dict if there is none."""
        return _read(self.folder(key) / SUMMARY)

    def figures(self, key: str) -> dict[str, Any]:
        """Return the measurements in test.json, or an empty dict."""
        return _read(self.folder(key) / MEASURED)

    def measurement(self, key: str, path: Path) -> bytes:
        """Return the content of a file of measured/, whose checksum is in test.json.

        Raises UserError if it is missing or damaged.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = error.strerror
        else:
            if self.figures(key).get("files", {}).get(path.name) in (None, checksum(content)):
                return content
            reason = "it is damaged"
        raise UserError(
            f"{path} cannot be read ({reason}): delete {self.folder(key) / MEASURED}, and the run "
            "will be measured again"
        )

    def failure(self, key: str) -> dict[str, Any]:
        """Return the `reason` and `attempts` of a failed run, or an empty dict."""
        return _read(self.root / f"{key}.failed.json")

    def given_up(self, key: str) -> bool:
        return self.failure(key).get("attempts", 0) >= ATTEMPTS

    def record_failure(self, key: str, reason: str) -> None:
        attempts = self.failure(key).get("attempts", 0) + 1
        record = {"reason": reason, "attempts": attempts}
        write_checked_json(self.root / f"{key}.failed.json", record)

    def add_seconds(self, key: str, seconds: float) -> None:
        """Add to the time spent on a run."""
        spent = self.seconds(key) + seconds
        write_checked_json(self.root / f"{key}.seconds.json", {"seconds": round(spent, 1)})

    def seconds(self, key: str) -> float:
        """Return the time spent on a run: training, validation, measurements."""
        return float(_read(self.root / f"{key}.seconds.json").get("seconds", 0.0))

    def forget_failure(self, key: str) -> None:
        (self.root / f"{key}.failed.json").unlink(missing_ok=True)


def run_key(config: Config, fingerprint: str, kind: str) -> str:
    """Return the key of a run, a hash of everything that affects its results.

    `fingerprint` is that of its corpus and tokenizers. `kind` is "training" or "speed".
    """
    values = renamed(to_plain(config), OLD_NAMES)  # a renamed key leaves a run its name
    for group in ("run", "resume", "logger"):
        del values[group]
    for group, names in PLACES.items():
        for name in names:
            del values[group][name]
    for group, former in LATER.items():
        for name, value in former.items():
            if values[group].get(name, value) == value:
                values[group].pop(name, None)
    if isinstance(config.model, TransformerConfig):  # options that a mixer added later
        for name in set(idle_options(config.model)) - {f.name for f in fields(TransformerConfig)}:
            del values["model"][name]
    text = json.dumps([FORMAT, kind, fingerprint, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def detail_file(folder: Path, name: str) -> Path:
    """Return the file of a table of `measuring.DETAILS`."""
    return folder / MEASURED.parent / f"{name}.csv"


def _read(path: Path) -> dict[str, Any]:
    remedy = "delete it, and it will be made again"
    try:
        values = read_json(path, remedy)
        check_figures(values)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): {remedy}") from error
    return values
