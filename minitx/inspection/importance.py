"""Which heads a model needs: its loss or accuracy on a split with each head switched off.

Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", sections 3.2 (one head) and
4.1 (many, the least important first).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader

from minitx.config.paths import full_paths
from minitx.config.schema import DataLocation, ImportanceConfig
from minitx.data.progress import announced, progress
from minitx.drawing.figures import png
from minitx.errors import UserError
from minitx.inspection.capture import find_attention, head_count
from minitx.inspection.grid import head_heatmap
from minitx.inspection.head_ablation import without_heads
from minitx.runs.atomic_write import write_bytes_atomically, write_checked_json
from minitx.runs.checks import check_run
from minitx.runs.paths import IMPORTANCE, check_writable
from minitx.runs.run import StoredRun
from minitx.tasks.base import Task
from minitx.tasks.evaluation import open_corpus
from minitx.terminal.console import Console
from minitx.terminal.text import say

TOLERATED = 0.01  # fraction of the metric that pruning may cost

Head = tuple[str, int]  # the attention's name, and the head's number in it


@dataclass(frozen=True)
class Importance:
    """The values of `metric`, "loss" or "accuracy", with some heads switched off.

    `whole` is the value with all heads, `without` the values without one head, and `pruned[k]` the
    value without the k + 1 least important heads.
    """

    metric: str
    whole: float
    without: dict[Head, float]
    pruned: list[float]

    def cost(self, value: float) -> float:
        """Return how much worse than `whole` a value is, as a fraction: above 0 is worse."""
        change = (value - self.whole) / self.whole
        return change if self.metric == "loss" else -change

    @property
    def order(self) -> list[Head]:
        """The heads, the least important first."""
        return by_cost(self.without, self.cost)

    @property
    def dispensable(self) -> int:
        """How many of the least important heads can be removed before the metric loses 1%."""
        lost = [k for k, value in enumerate(self.pruned) if self.cost(value) > TOLERATED]
        return lost[0] if lost else len(self.pruned)


def by_cost(without: Mapping[Head, float], cost: Callable[[float], float]) -> list[Head]:
    """Return heads in the order of what their absence costs, the cheapest first."""
    return sorted(without, key=lambda head: cost(without[head]))


def head_importance(
    task: Task, model: nn.Module, split: str, metric: str, prune: int, batches: int | None
) -> Importance:
    """Measure the model on a split (or its first `batches` batches) without each of its heads.

    Then measure it without the least important head, without the two least important, up to
    `prune` of them. As in validation, decoders read the true target. Raises UserError for a model
    without attention, for a `prune` above the number of heads, and for a metric that is 0, of which
    no fraction can be taken.
    """
    found = find_attention(model)
    heads = [(name, n) for name, each in found.items() for n in range(head_count(each))]
    if not heads:
        raise UserError(f"{task.config.model.name} has no attention, so it has no heads")
    if prune > len(heads):
        raise UserError(f"prune={prune}: the model has {len(heads)} heads")
    objective = task.objective(model, lambda: 1.0).to(next(model.parameters()).device).eval()
    data = task.data()
    loader = DataLoader(data.evaluation[split], batch_size=data.evaluation_size)

    @torch.inference_mode()
    def measured(off: Sequence[Head]) -> float:
        by_name: dict[str, list[int]] = {}
        for name, number in off:
            by_name.setdefault(name, []).append(number)
        with without_heads(model, by_name):
            for batch in islice(loader, batches):
                objective.score(objective.transfer_batch_to_device(batch, objective.device, 0))
        return objective.scores()[metric]

    with announced(f"measuring {split}"):
        whole = measured([])
    if whole == 0:
        raise UserError(f"the {metric} on {split} is 0 with all heads: it cannot get worse")
    with progress() as watch:
        alone = watch("switching heads off", heads, len(heads), lambda head: 1)
        without = {head: measured([head]) for head in alone}
        least = by_cost(without, Importance(metric, whole, without, []).cost)
        more = watch("pruning", range(1, prune + 1), prune, lambda k: 1)
        pruned = [measured(least[:k]) for k in more]
    return Importance(metric, whole, without, pruned)


def run_importance(
    run: StoredRun,
    split: str = "val",
    *,
    metric: str = "loss",
    prune: int = 0,
    batches: int | None = None,
    **corpus: str | None,
) -> Importance:
    """Measure a run on a split without each of its heads, and write nothing.

    `corpus` may say where the corpus is now: dir, path, target_path or cache_dir. Raises UserError
    as `head_importance` and `open_corpus`.
    """
    task = open_corpus(run, full_paths(DataLocation(**corpus), "data."), split)
    return head_importance(task, run.model, split, metric, prune, batches)


def importance_of_run(config: ImportanceConfig) -> tuple[Importance, list[Path]]:
    """Measure the run's heads, and write head_importance.png and .json into its folder.

    Returns the importance and the files. Raises UserError without a run, and as `head_importance`
    and `open_corpus`.
    """
    run: StoredRun = StoredRun.open(check_run(config.run), config.device)
    check_writable(run.folder, str(run.folder))
    task = open_corpus(run, config.data, config.split)
    found = head_importance(
        task, run.model, config.split, config.metric, config.prune, config.batches
    )
    names = list(dict.fromkeys(name for name, _ in found.without))
    heads = 1 + max(number for _, number in found.without)
    costs = np.full((len(names), heads), np.nan)
    for (name, number), value in found.without.items():
        costs[names.index(name), number] = 100 * found.cost(value)
    title = f"{run.config.model.name} on {run.config.task.name}: how many percent worse "
    title += f"{config.metric} is without each head"
    figure = head_heatmap(costs, names, [str(n) for n in range(heads)], title)
    picture, numbers = run.folder / "head_importance.png", run.folder / IMPORTANCE
    write_bytes_atomically(picture, png(figure))
    write_checked_json(
        numbers,
        {
            "checkpoint": run.path.name,
            "step": run.step,
            "split": config.split,
            "batches": config.batches,
            "metric": found.metric,
            "with_all_heads": found.whole,
            "without": [
                {"attention": name, "head": number, found.metric: found.without[name, number]}
                for name, number in found.order
            ],
            "without_the_least_important": found.pruned,
        },
    )
    return found, [picture, numbers]


def show_importance(found: Importance, files: list[Path]) -> None:
    """Print the heads, the least important first, and how many of them can be removed."""
    say(f"{found.metric} with all heads: {found.whole:.4f}")
    table = Table()
    table.add_column("attention")
    table.add_column("head")
    for heading in (f"{found.metric}\nwithout it", "worse by", "without\nall so far"):
        table.add_column(heading, justify="right")
    for k, (name, number) in enumerate(found.order):
        value = found.without[name, number]
        together = f"{found.pruned[k]:.4f}" if k < len(found.pruned) else ""
        worse = round(found.cost(value), 4) + 0.0  # "+0.00%", never "-0.00%"
        table.add_row(name, str(number), f"{value:.4f}", f"{worse:+.2%}", together)
    Console().print_table(table)
    if found.pruned:
        least = "at least " if found.dispensable == len(found.pruned) else ""
        say(
            f"{least}{found.dispensable} of the least important heads can be removed before "
            f"{found.metric} is {TOLERATED:.0%} worse"
        )
    for file in files:
        say(f"  {file}")
