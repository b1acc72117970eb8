"""Check what a task requires of its config, without torch, so that errors come at once."""

from dataclasses import fields

from minitx.config.schema import Config
from minitx.config.tasks import TASKS
from minitx.data.corpora.sources import source_of
from minitx.errors import UserError


def check_keys(config: Config) -> None:
    """Refuse a key that is set and that the task does not use. Raises UserError."""
    used = config.task.spec.keys
    for key in dict.fromkeys(key for task in TASKS.values() for key in task.keys):
        group, name = key.split(".")
        settings = getattr(config, group)
        (default,) = (field.default for field in fields(settings) if field.name == name)
        value = getattr(settings, name)
        if value != default and key not in used:
            users = ", ".join(task.name for task in TASKS.values() if key in task.keys)
            raise UserError(
                f"{key}={value}: task={config.task.name} does not use this key; remove it (it "
                f"is for {users})"
            )


def check_corpus(config: Config) -> None:
    """Refuse a corpus whose files or package are missing. Raises UserError.

    Only the beginning of the files is read.
    """
    if not config.task.spec.synthetic:
        source_of(config).check(config)


def batch_windows(config: Config) -> int:
    """Return how many windows make a batch. Raises UserError if the config does not say that."""
    data, devices = config.data, config.trainer.devices
    if data.batch_size is None or data.batch_tokens is not None:
        raise UserError(
            f"task={config.task.name} has windows of one length: set data.batch_size, "
            "not data.batch_tokens"
        )
    if data.batch_size % devices:
        raise UserError(
            f"data.batch_size={data.batch_size} cannot be shared by trainer.devices="
            f"{devices}: make it a multiple"
        )
    return data.batch_size


def batch_tokens(config: Config) -> int:
    """Return how many tokens make a batch. Raises UserError if the config does not say that."""
    data = config.data
    if data.batch_size is not None or data.batch_tokens is None:
        raise UserError(
            f"task={config.task.name} has examples of different lengths: set "
            "data.batch_tokens, not data.batch_size"
        )
    return data.batch_tokens
