"""Resume a run: check that it is the same, and not finished."""

from pathlib import Path

from minitx.config.compose import to_plain
from minitx.config.renames import renamed
from minitx.config.schema import Config
from minitx.errors import UserError
from minitx.runs.growing_file import read_checked
from minitx.runs.paths import LAST, METRICS, last_checkpoint
from minitx.runs.run import read_checkpoint


def checkpoint_to_resume(config: Config, fingerprint: str) -> Path | None:
    """Return the checkpoint to continue from; None for a run that is not resumed.

    `fingerprint` identifies the corpus and its tokenizers as they are now. Raises UserError if the
    run is no longer the same, or is finished.
    """
    if config.resume is None:
        return None
    file = last_checkpoint(config.resume)
    checkpoint = read_checkpoint(file)
    if (metrics := Path(config.resume, METRICS)).is_file():
        read_checked(metrics)
    if checkpoint["hyper_parameters"]["data_fingerprint"] != fingerprint:
        raise UserError(f"resume={config.resume}: the corpus is no longer the one it trained on")
    if renamed(checkpoint["hyper_parameters"]["config"])["model"] != to_plain(config.model):
        raise UserError(
            f"resume={config.resume}: config.yaml describes a different model from {LAST}"
        )
    try:
        states = checkpoint["callbacks"]
        minutes = states["Clock"]["elapsed"] / 60
        waited = max((state.get("wait_count", 0) for state in states.values()), default=0)
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not of a run that can be resumed") from error
    steps = checkpoint["global_step"]
    if config.trainer.max_steps is not None and steps >= config.trainer.max_steps:
        raise UserError(
            f"resume={config.resume}: the run has finished its {steps:,} steps; to train it "
            f"longer, add trainer.max_steps={2 * steps}"
        )
    if config.trainer.max_minutes is not None and minutes >= config.trainer.max_minutes:
        raise UserError(
            f"resume={config.resume}: the run has finished its {config.trainer.max_minutes:g} "
            "minutes; to train it longer, add "
            f"trainer.max_minutes={2 * config.trainer.max_minutes:g}"
        )
    if config.trainer.patience is not None and waited >= config.trainer.patience:
        raise UserError(
            f"resume={config.resume}: the run had {waited} validations without improvement; "
            f"to train it longer, add trainer.patience={2 * waited}"
        )
    return file
