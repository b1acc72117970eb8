"""Resume a run: check that it is the same, and find out what is left to do."""

from pathlib import Path
from typing import Any, NamedTuple

from minitx.config.compose import from_plain, to_plain
from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.runs.growing_file import read_checked
from minitx.runs.paths import LAST, METRICS, finished, last_checkpoint
from minitx.runs.run import read_checkpoint
from minitx.training.limits import ended_by, longer, waited


class Resumption(NamedTuple):
    """Where a run continues: `checkpoint` is None at its beginning.

    `trained_steps` is None if steps are left. Otherwise all were done, but the run was stopped
    while it was measured.
    """

    checkpoint: Path | None = None
    trained_steps: int | None = None


def resumption(config: Config, fingerprint: str) -> Resumption:
    """Return where `config.resume` continues; a run that is not resumed begins.

    `fingerprint` identifies the corpus and its tokenizers as they are now. Raises UserError if the
    run is no longer the same, or is finished.
    """
    file = None if config.resume is None else last_checkpoint(config.resume)
    if config.resume is None or file is None:
        return Resumption()
    checkpoint = read_checkpoint(file)
    if (metrics := Path(config.resume, METRICS)).is_file():
        read_checked(metrics)
    if checkpoint["hyper_parameters"]["data_fingerprint"] != fingerprint:
        raise UserError(f"resume={config.resume}: the corpus is no longer the one it trained on")
    # Keys added since the checkpoint was written have their defaults.
    trained = from_plain(checkpoint["hyper_parameters"]["config"])
    if to_plain(trained.model) != to_plain(config.model):
        raise UserError(
            f"resume={config.resume}: config.yaml describes a different model from {LAST}"
        )
    end = _end(checkpoint, config, file)
    if end is None:
        return Resumption(file)
    if finished(Path(config.resume)):
        raise UserError(f"resume={config.resume}: the run {end}")
    return Resumption(file, trained_steps=checkpoint["global_step"])


def _end(checkpoint: dict[str, Any], config: Config, file: Path) -> str | None:
    """Return which limit ended the training, and how to train longer; None if none did."""
    try:
        steps, states = checkpoint["global_step"], checkpoint["callbacks"]
        ended, idle = ended_by(steps, states, config), waited(states)
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not of a run that can be resumed") from error
    if ended is None:
        return None
    limits = config.trainer
    words = {
        "goal": f"has reached its goal of {limits.goal or 0:g}",
        "max_steps": f"has finished its {steps:,} steps",
        "max_minutes": f"has finished its {limits.max_minutes or 0:g} minutes",
        "patience": f"had {idle} validations without improvement",
    }
    return f"{words[ended]}; to train it longer, add {longer(limits, ended, steps, idle)}"
