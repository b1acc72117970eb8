"""A trained model measured on a whole split of its corpus."""

import sys

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

from minitx.config import EvaluateConfig
from minitx.corpus import open_store
from minitx.data.module import evaluation_batch
from minitx.data.windows import DisjointWindows
from minitx.errors import UserError
from minitx.metrics import TextLoss
from minitx.run import Run, load


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> tuple[Run, dict[str, float]]:
    """The run, and its metrics on `config.split`, named as in summary.json.

    Raises UserError without a run, for a split the corpus has not got, or where the corpus is no
    longer the one that the model was trained on.
    """
    if config.run is None:
        raise UserError("which model is to be measured? run=<a run's folder or .ckpt file>")
    run = load(config.run, config.device)
    where = run.config.data
    where.dir, where.path = config.data.dir or where.dir, config.data.path or where.path
    store = open_store(run.config)
    if config.split not in store.splits:
        raise UserError(
            f"split={config.split}: {run.config.task.name} has only {', '.join(store.splits)}"
        )
    if store.fingerprint != run.data_fingerprint:
        raise UserError(f"the corpus is not the one that {config.run} was trained on")
    context = run.config.model.context
    batches = DataLoader(
        DisjointWindows(store.split(config.split), context),
        batch_size=evaluation_batch(context),
    )
    losses = TextLoss(torch.from_numpy(run.tokenizer.byte_lengths())).to(run.device)
    console = Console(file=sys.stderr)
    for inputs, targets in track(batches, f"evaluating {config.split}", console=console):
        logits, _ = run.model(inputs.to(run.device))
        losses.update(logits, targets.to(run.device))
    return run, {f"{config.split}/{name}": value for name, value in losses.compute().items()}
