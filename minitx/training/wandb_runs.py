"""A run in W&B: how it starts, what it gets of the run's folder, and whether it was recorded."""

import re
import struct
import time
import uuid
from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from os import environ
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from minitx.config.compose import MOVED_ON_RESUME, to_plain
from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.metrics.decomposable import MEASURES
from minitx.runs.atomic_write import write_atomically
from minitx.runs.card import model_card
from minitx.runs.paths import find_checkpoint, read_summary
from minitx.terminal.text import note

OPENING, FINISHING = 60.0, 240.0  # seconds that W&B itself waits for its server
WRITING = 5.0  # seconds that its process may take to write the end of an offline run
LARGEST_MODEL = 2**30  # bytes of a checkpoint that is an artifact
LONGEST_TAG = 64  # characters that W&B allows

STEP = "trainer/global_step"  # Lightning's name of the x axis

# Of summary.json: what is known when a run starts, and what its training measured.
FACTS = ("parameters", "parameters_non_embedding", "data_fingerprint", "git_commit", "versions")
FIGURES = (
    *("status", "ended_by", "steps", "tokens_seen", "train_seconds", "cpu_seconds", "threads"),
    *("tokens_per_second", "peak_memory_mb"),
)

# A .wandb file, in the log format of LevelDB: a header, then blocks with pieces of records. Each
# piece has a header: its checksum, its length and its kind.
MAGIC, FILE_HEADER, BLOCK = b":W&B", 7, 32 * 1024
PIECE = struct.Struct("<4xHB")
WHOLE, FIRST, LAST_PIECE = 1, 2, 4
ENDING = 20  # the record that ends a run is one of this many last records


def start(config: Config, mode: str, folder: Path) -> WandbLogger:
    """Start the W&B run of a folder, and return its logger.

    The id of the W&B run is kept in the folder, so it is the same when the run is resumed. An
    offline run that is resumed leaves a second offline folder in the same W&B group.
    """
    logger = WandbLogger(
        name=folder.name,
        id=wandb_id(folder),
        group=config.logger.group or folder.name,
        job_type=config.logger.job_type,
        tags=tags(config),
        project=config.logger.project,
        save_dir=folder.resolve(),  # W&B's own process may have another working directory
        mode=mode,  # Lightning's `offline` sets a variable, also for later runs of this process
        config=to_plain(config) | _of_summary(folder, FACTS),
        reinit="create_new",  # the next run of this process must not log into this one
        settings=wandb_settings(),
    )
    logger._wandb_init.pop("anonymous")  # Lightning passes what W&B warns about
    for metric, best in best_values(config).items():
        logger.experiment.define_metric(metric, step_metric=STEP, summary=best)
    return logger


def wandb_settings() -> dict[str, Any]:
    """Return the settings with which W&B prints nothing, and waits for its server a while only."""
    return {
        "silent": True,
        "init_timeout": OPENING,
        "finish_timeout": FINISHING,
        "finish_timeout_raises": True,
    }


def wandb_id(folder: Path) -> str:
    """Return the W&B id of the run in this folder, which is kept there.

    It is drawn once. In a sweep of W&B, its agent has drawn it.
    """
    path = folder / "wandb" / "id.txt"
    if not path.exists():
        of_agent = environ.get("WANDB_RUN_ID") if environ.get("WANDB_SWEEP_ID") else None
        write_atomically(path, of_agent or uuid.uuid4().hex[:8])
    found = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"\w{1,64}", found):  # it becomes the name of a folder
        raise UserError(f"{path} is not the id of a W&B run: delete it")
    return found


def tags(config: Config) -> list[str]:
    """Return the tags of a run: its task, objective, model and mixers, and those of the config."""
    task, model = config.task, config.model
    every = [task.name, str(task.objective), model.name, *model.pattern, *config.logger.tags]
    return list(dict.fromkeys(tag[:LONGEST_TAG] for tag in every))


def group_of_seeds(config: Config, fingerprint: str) -> str:
    """Return the group of the runs that differ from this one in their seed, and nothing else.

    It ends with a hash of the config and of the fingerprint of the corpus.
    """
    values: Any = to_plain(config)
    for key in ("seed", "run", "resume", "logger", *MOVED_ON_RESUME):
        group, _, name = key.rpartition(".")
        (values[group] if group else values).pop(name)
    found = sha256(f"{values} {fingerprint}".encode()).hexdigest()[:6]
    return f"{config.task.name}_{config.model.name}_{found}"


def best_values(config: Config) -> dict[str, str]:
    """Return the metrics of which W&B shows the best value instead of the last: "min" or "max"."""
    headline = config.task.spec.headline  # empty if it is measured after training only
    measures = [MEASURES[name] for name in ("loss", headline) if name]
    return {f"val/{each.name}": "min" if each.lower_is_better else "max" for each in measures}


def finish(logger: WandbLogger, config: Config, folder: Path, exit_code: int) -> None:
    """End the W&B run of a folder with the figures of its summary, and its model.

    Raises OSError if it is offline and was not recorded.
    """
    run = logger.experiment
    run.summary.update(_of_summary(folder, FIGURES) | _scores(folder))
    if exit_code == 0 and config.logger.job_type == "train":
        _log_model(run, config, folder)
    offline, record = run.settings._offline, Path(run.settings.sync_file)
    run.finish(exit_code=exit_code)
    if offline:
        check_recorded(record)


def _log_model(run: Any, config: Config, folder: Path) -> None:
    """Log the checkpoint that is opened by default, and a card, as an artifact.

    Nothing is copied: `wandb sync` reads the files of the run's folder.
    """
    import wandb

    checkpoint = find_checkpoint(folder).resolve()
    if checkpoint.stat().st_size > LARGEST_MODEL:
        note(f"W&B: {checkpoint} is larger than 1 GiB, so the model is not in it")
        return
    summary = read_summary(folder)
    card = folder.resolve() / "wandb" / "README.md"
    write_atomically(card, model_card(config, summary))
    artifact = wandb.Artifact(
        f"model-{run.id}",
        "model",
        description=f"{config.model.name} on {config.task.name}, from {folder.name}",
        metadata={name: summary[name] for name in (*FACTS, "metrics") if name in summary},
    )
    for path, name in ((checkpoint, "model.ckpt"), (card, card.name)):
        artifact.add_file(str(path), name=name, policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=["best"])


def _of_summary(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    summary = read_summary(folder)
    return {name: summary[name] for name in names if summary.get(name) is not None}


def _scores(folder: Path) -> dict[str, float]:
    """Return the metrics of the best checkpoint: those of val are called "best/val/loss", ..."""
    metrics = read_summary(folder).get("metrics", {})
    return {name if name.startswith("test/") else f"best/{name}": metrics[name] for name in metrics}


def check_recorded(path: Path) -> None:
    """Raise OSError if an offline run was not written to its end.

    W&B's own process writes it, and reports an error, such as a full disk, to nobody.
    """
    end = time.monotonic() + WRITING
    while not recorded(path):
        if time.monotonic() > end:
            raise OSError(f"{path} was not written to its end; is the disk full?")
        time.sleep(0.05)


def recorded(path: Path) -> bool:
    """Return whether a .wandb file has the record that ends a run, or an unknown format."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    if not path.exists():
        return False
    with path.open("rb") as file:
        magic = file.read(FILE_HEADER)[: len(MAGIC)]
        if magic != MAGIC:
            return not MAGIC.startswith(magic)
        last = deque(_records(file), ENDING)
    try:
        return any(Record.FromString(each).WhichOneof("record_type") == "exit" for each in last)
    except Exception:  # protobuf's, of bytes that are not a record
        return False


def _records(file: Any) -> Iterator[bytes]:
    """Yield the records of a .wandb file from here on, up to one that is not complete."""
    record = b""
    while True:
        left = BLOCK - file.tell() % BLOCK
        if left < PIECE.size:
            file.seek(left, 1)
        header = file.read(PIECE.size)
        if len(header) < PIECE.size:
            return
        length, kind = PIECE.unpack(header)
        piece = file.read(length)
        if len(piece) < length:
            return
        record = piece if kind in (WHOLE, FIRST) else record + piece
        if kind in (WHOLE, LAST_PIECE):
            yield record
