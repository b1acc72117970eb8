"""Tiny runs of every objective, whose faults are tried."""

import shutil
from functools import cache
from pathlib import Path

from forks import run
from tiny_runs import TINY

CORPORA = Path(__file__).parents[1] / "old_runs"
STEPS = [
    *("trainer.max_steps=12", "trainer.val_every=4", "trainer.log_every=2"),
    *("model.dropout=0.1", "model.context=24", "decoding.beam=1", "decoding.max_length=8"),
]
TEXT = [*TINY, f"data.path={CORPORA / 'play.txt'}", *STEPS]
EXAMPLES = [word for word in TINY if not word.startswith(("task=", "data."))]
PAIRS = [*EXAMPLES, "task=pairs", f"data.path={CORPORA / 'pairs.tsv'}", *STEPS]
LABELS = [*EXAMPLES, "task=labels", f"data.path={CORPORA / 'labels.jsonl'}", *STEPS]
BATCHES = ["data.batch_tokens=200"]
AVERAGED = ["optimizer.ema=0.9", "trainer.average=2", "trainer.average_of=last"]
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]

VARIANTS = {
    "language modelling": TEXT,
    "sequence to sequence": [*PAIRS, *BATCHES],
    "classification": [*LABELS, *BATCHES],
    "moving average, and average of checkpoints": [*TEXT, *AVERAGED],
    "two processes": [*TEXT, *TWO],
}


def command_to_go_on(folder, words):
    """Return the arguments that continue the run in a folder, or begin it."""
    if (folder / "config.yaml").exists():
        return [f"resume={folder}"]
    shutil.rmtree(folder, ignore_errors=True)  # killed before it had written anything
    return [f"run.dir={folder}", *words]


def uninterrupted(place):
    """Return a function of a variant: the folder of a run of it, made once, and how it ended."""

    @cache
    def whole(variant):
        folder = place / variant.replace(" ", "_")
        ended = run("train", "run.dir=run", *VARIANTS[variant], folder=folder)
        assert ended.status == 0, ended.err
        return folder / "run", ended

    return whole
