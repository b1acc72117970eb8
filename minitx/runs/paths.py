"""The files of a run, and checks of the folders and files that a command writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from minitx.config.checksums import read_json
from minitx.config.paths import full_path
from minitx.config.schema import Config
from minitx.data.lines import is_stream, open_stream
from minitx.errors import UserError
from minitx.terminal.streams import ReaderGone

CONFIG = "config.yaml"
METRICS = "metrics.csv"
SUMMARY = "summary.json"
TOKENIZER = "tokenizer.json"
SOURCE_TOKENIZER = Path("tokenizer", "source.json")
TARGET_TOKENIZER = Path("tokenizer", "target.json")
SAMPLES = "samples.txt"
CONFUSION = "confusion_{split}.png"
OUTPUTS = "outputs_{split}.jsonl"
EVALUATION = "evaluation_{split}.json"
IMPORTANCE = "head_importance.json"
LAST = Path("checkpoints", "last.ckpt")
BEST = Path("checkpoints", "best.ckpt")
AVERAGED = Path("checkpoints", "averaged.ckpt")

# Set for the processes that Lightning starts, which use the folder of the first one.
FOLDER_VARIABLE = "MINITX_RUN_DIR"


def launched_by_lightning() -> bool:
    """Return whether Lightning started this process in addition to the first one (DDP)."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


def create_run_folder(config: Config) -> Path:
    """Create the folder of a new run: `run.dir`, or runs/<date>_<time>_<task>_<model>_<seed>.

    Raises UserError as `check_run_folder`, or if the folder cannot be created.
    """
    if FOLDER_VARIABLE in os.environ and launched_by_lightning():
        return Path(os.environ[FOLDER_VARIABLE])
    if config.run.dir is None:
        moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        name = f"{moment}_{config.task.name}_{config.model.name}_{config.seed}"
        folder = _first_free(default_runs(), name)
    else:
        folder = Path(config.run.dir)
        check_run_folder(folder)
        make_folder(folder, f"run.dir={folder}")
    check_writable(folder, f"run.dir={folder}")
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    return folder


def default_runs() -> Path:
    """Return the folder in which a run gets a folder if `run.dir` is not set."""
    return Path(full_path("runs", "run.dir"))


def check_run_folder(folder: Path) -> None:
    """Refuse the folder of a new run if it exists and is not empty. Raises UserError."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(
            f"run.dir={folder} already exists and is never overwritten: choose another, "
            f"or continue that run: resume={folder}"
        )


def find_checkpoint(path: Path, *, last: bool = False, key: str = "run") -> Path:
    """Return the checkpoint in a run's folder, or the file itself. Raises UserError without one.

    `key` is the key that names the path in errors.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise UserError(f"{key}={path} does not exist: give a run's folder or a .ckpt file")
    for name in (LAST, AVERAGED, BEST) if last else (AVERAGED, BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise UserError(
        f"{key}={path} holds no checkpoint ({BEST} or {LAST}): it is not a run's folder, or the "
        "run ended before its first validation"
    )


def last_checkpoint(run: str) -> Path | None:
    """Return the checkpoint from which `resume=run` continues.

    This is None for a run that stopped before its first checkpoint: it starts again. Raises
    UserError if the checkpoint of a finished run is missing, and as `finished`.
    """
    file = Path(run, LAST)
    check_links(Path(run).resolve())
    if file.is_file():
        return file
    if finished(Path(run)):
        raise UserError(f"resume={run}: the run has finished, but there is no {LAST} in it")
    return None


def finished(folder: Path) -> bool:
    """Return whether the run's summary.json says that it was trained and measured.

    Raises UserError if the file is damaged.
    """
    return read_summary(folder).get("status") == "finished"


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the run's summary.json, or an empty dict if it has none.

    Raises UserError if the file is damaged.
    """
    try:
        return read_json(folder / SUMMARY, "delete it to go on without it")
    except FileNotFoundError:
        return {}


def check_links(*paths: Path) -> None:
    """Refuse links that lead out of a run, because what is written to them would be elsewhere.

    `paths` are files and run folders. Raises UserError. W&B has such links in folders of its own,
    which are not written again.
    """
    for path in paths:
        home = path.parent.resolve()
        inside = (each for pattern in ("*", f"{LAST.parent}/*") for each in path.glob(pattern))
        for link in filter(Path.is_symlink, (path, *inside)):
            if not link.resolve().is_relative_to(home / path.name):
                raise UserError(
                    f"{link} is a link to {link.resolve()}: put the file or folder itself there, "
                    "so that nothing is written elsewhere"
                )


def make_folder(folder: Path, name: str) -> None:
    """Create a missing folder. Raises UserError, which calls it `name`, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{name} cannot be created: {error.strerror}") from error


def check_writable(folder: Path, name: str) -> None:
    """Raise UserError, which calls the folder `name`, if nothing can be written into it."""
    if not os.access(folder, os.W_OK):
        raise UserError(f"{name} cannot be written: permission denied")


def check_creatable(folder: Path, name: str) -> None:
    """Raise UserError, which calls the folder `name`, if it can neither be made nor written."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if existing.is_dir() and not os.access(existing, os.W_OK):
        where = "the current folder" if existing == Path.cwd() else existing
        raise UserError(f"{name} cannot be written: {where} is read-only")


def check_absent(folder: Path, key: str) -> None:
    """Refuse a new folder that exists, even if it is empty. Raises UserError."""
    if os.path.lexists(folder):
        raise UserError(f"{key}={folder} already exists and is never overwritten: choose another")


def check_output(output: str | None) -> None:
    """Refuse an `output=` that already exists and is not a stream. Raises UserError."""
    if output is not None and os.path.lexists(output) and not is_stream(Path(output)):
        raise UserError(f"output={output} already exists: choose another name")


@contextmanager
def open_output(output: str) -> Iterator[IO[str]]:
    """Open `output=`: a new file, or a stream such as /dev/stdout. Both are written as UTF-8.

    A new file that is still empty when the block fails is removed. Raises UserError if the file
    already exists or cannot be created, and in the block if it cannot be written. Raises ReaderGone
    if it is a pipe that nobody reads any more.
    """
    check_output(output)
    path = Path(output)
    stream, mode, created = open_stream(path), "w" if is_stream(path) else "x", False
    try:
        to = path if stream is None else stream
        with open(to, mode, encoding="utf-8", closefd=stream is None) as file:
            created = mode == "x"
            yield file
    except BaseException as error:
        if created and not path.stat().st_size:
            path.unlink()
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from None
        if isinstance(error, OSError):
            raise UserError(f"output={output} cannot be written: {error.strerror}") from None
        raise


def _first_free(parent: Path, name: str) -> Path:
    """Create parent/name, or name-2, name-3, ...: runs may start within the same second."""
    attempt = 1
    while True:
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            attempt += 1
        except OSError as error:
            raise UserError(
                f"the run's folder {folder} cannot be created ({error.strerror}): choose another "
                "with run.dir="
            ) from error
        else:
            return folder
