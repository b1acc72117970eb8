"""What a task requires of its config: keys that it has a use for, a size of its batches, a corpus.

Nothing here imports torch, so that what is missing is said at once.
"""

from pathlib import Path
from typing import Any

from minitx.config.schema import OBJECTIVES, SEQUENCE_TO_SEQUENCE, Config
from minitx.data.corpora.labels import SST2, TREC
from minitx.data.corpora.packages import package_folder
from minitx.data.corpora.pairs import DICTIONARY, MULTI30K
from minitx.data.corpora.plays import play_files
from minitx.data.corpora.records import RecordFile, read_lines
from minitx.data.corpora.text import text_file, tiny_shakespeare_file
from minitx.errors import UserError

# Tasks whose examples are made, not read.
MADE = ("recall",)

PAIRS = tuple(name for name, kind in OBJECTIVES.items() if kind == SEQUENCE_TO_SEQUENCE)

# Keys of some tasks alone, and the value with which they ask for nothing.
OF_TASKS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "task.pairs": (None, ("recall",)),
    "task.measure": ("bleu", PAIRS),
    "data.path": (None, ("text", "pairs", "labels")),
    "data.target_path": (None, ("pairs",)),
    "data.stress": (False, ("cmudict",)),
    "data.target_tokenizer": (None, PAIRS),
    "data.shared_vocab": (False, PAIRS),
    "data.train_fraction": (1.0, tuple(name for name in OBJECTIVES if name not in MADE)),
}


def check_keys(config: Config) -> None:
    """Refuses a key that the task has no use for. Raises UserError."""
    task = config.task.name
    for key, (nothing, tasks) in OF_TASKS.items():
        group, name = key.split(".")
        value = getattr(getattr(config, group), name)
        if value != nothing and task not in tasks:
            raise UserError(
                f"{key}={value}: task={task} has no use for it, leave it out (it is for "
                f"{', '.join(tasks)})"
            )


def check_corpus(config: Config) -> None:
    """Refuses a corpus whose files or package are missing; reads no more than their beginning.

    Raises UserError, as the function of `minitx.data` that opens the corpus.
    """
    data, data_dir = config.data, folder_of_corpora(config)
    match config.task.name:
        case "shakespeare" | "genre":
            play_files()
        case "tiny_shakespeare":
            tiny_shakespeare_file(data_dir)
        case "text":
            text_file(own_file(config, "my.txt"), data.val_fraction)
        case "cmudict":
            package_folder(*DICTIONARY)
        case "multi30k":
            MULTI30K.check(data_dir)
        case "sst2":
            SST2.check(data_dir)
        case "trec":
            TREC.check(data_dir)
        case "labels":
            RecordFile(own_file(config, "my.tsv"), ("label", "text"))
        case "pairs":
            path = own_file(config, "my.tsv")
            if data.target_path is None:
                RecordFile(path, ("source", "target"))
            else:
                for side in (path, Path(data.target_path)):
                    next(read_lines(side), None)


def folder_of_corpora(config: Config) -> Path | None:
    """Where the well-known corpora are."""
    return Path(config.data.dir) if config.data.dir else None


def own_file(config: Config, example: str) -> Path:
    """The user's file. Raises UserError where none was named."""
    if config.data.path is None:
        raise UserError(f"task={config.task.name} needs your file: data.path={example}")
    return Path(config.data.path)


def batch_windows(config: Config) -> int:
    """How many windows are a batch. Raises UserError where the config says it otherwise."""
    data, devices = config.data, config.trainer.devices
    if data.batch_size is None or data.batch_tokens is not None:
        raise UserError(
            f"task={config.task.name} has windows of one length: say how many make a "
            "batch, data.batch_size=12, in place of data.batch_tokens"
        )
    if data.batch_size % devices:
        raise UserError(
            f"data.batch_size={data.batch_size} cannot be shared by trainer.devices="
            f"{devices}: make it a multiple"
        )
    return data.batch_size


def batch_tokens(config: Config) -> int:
    """The budget of a batch of examples. Raises UserError where the config has another."""
    data = config.data
    if data.batch_size is not None or data.batch_tokens is None:
        raise UserError(
            f"task={config.task.name} has examples of different lengths: say how many "
            "tokens make a batch, data.batch_tokens=4000, in place of data.batch_size"
        )
    return data.batch_tokens
