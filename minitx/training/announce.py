"""Print what a run trains on, before its first step."""

from typing import Any

from minitx.terminal.text import note


def announce(facts: dict[str, Any], notes: tuple[str, ...] = ()) -> None:
    """Print what is odd about the corpus, how much there is to train on, if it is finite, and the
    part of val that is read.
    """
    for line in notes:
        note(f"warning: {line}")
    if "train_share" in facts:
        note(_to_train_on(facts))
    part = facts["validation_fraction"]
    if part < 1:
        note(
            f"validations read {part:.1%} of val, always the same part; the final metrics cover "
            "all of it (trainer.val_tokens)"
        )


def _to_train_on(facts: dict[str, Any]) -> str:
    share = facts["train_share"]
    which = [] if share == 1 else [f"{100 * share:.4g}% of all"]
    if "train_tokens" in facts:
        return ", ".join([f"{facts['train_tokens']:,} tokens to train on", *which])
    left_out = facts["train_examples_left_out"]
    if left_out:
        which.append(f"{left_out:,} longer than model.context left out")
    return (
        f"{facts['train_examples'] - left_out:,} examples to train on, "
        f"{', '.join(which) or 'all there are'}; "
        f"{facts['batches_an_epoch']:,} batches an epoch, "
        f"{facts['padding_share']:.1%} of their tokens padding"
    )
