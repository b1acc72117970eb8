"""What the page says about a run and a text, in addition to the maps.

Induction and the probabilities of the next token belong to language models. The importance of heads
is read from the run's folder, if `minitx importance` measured it. So are the maps of the training.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minitx.config.checksums import read_json
from minitx.errors import UserError
from minitx.inspection.history import HISTORY, read_history
from minitx.inspection.induction import induction_score
from minitx.inspection.model_inputs import Passage
from minitx.inspection.weights import Findings, Frame, HeadCosts, Prediction
from minitx.runs.paths import IMPORTANCE
from minitx.runs.run import StoredRun

CANDIDATES = 5  # tokens that are shown for each position


def findings(run: StoredRun, passage: Passage) -> Findings:
    """Return what is known about a run and a text that its model reads."""
    induction = model_induction(run)
    predictions = next_tokens(run, passage) if run.config.task.objective.windows else ()
    costs: HeadCosts | None = None
    history: list[Frame] = []
    notes: list[str] = []
    try:
        costs = head_costs(run)
    except UserError as error:
        notes.append(str(error))
    try:
        history = read_history(run.folder / HISTORY)
    except UserError as error:
        notes.append(str(error))
    return Findings(induction, predictions, costs, tuple(history), tuple(notes))


@torch.no_grad()
def next_tokens(run: StoredRun, passage: Passage) -> tuple[Prediction, ...]:
    """Return what a language model expects after each token of a text."""
    logits, _ = run.model(passage.source.ids)
    ids, labels = passage.source
    return predictions_of(logits[0], ids[0].tolist(), labels, run.tokenizer.spell)


def predictions_of(
    logits: Tensor,
    ids: Sequence[int],
    labels: Sequence[str],
    spell: Callable[[Sequence[int]], Sequence[str]],
) -> tuple[Prediction, ...]:
    """Return what logits (T, V) expect after each of T tokens. `spell` returns labels of ids."""
    probabilities = logits.double().softmax(dim=-1).cpu()
    values, best = probabilities.topk(min(CANDIDATES, probabilities.size(-1)))
    made = []
    for place, row in enumerate(probabilities):
        shown = spell(best[place].tolist())
        candidates = tuple(zip(shown, values[place].tolist(), strict=True))
        actual = None
        if place + 1 < len(ids):
            follower = row[ids[place + 1]]
            actual = float(follower), int((row > follower).sum())
        made.append(Prediction(labels[place], candidates, actual))
    return tuple(made)


def head_costs(run: StoredRun) -> HeadCosts | None:
    """Return what `minitx importance` measured with this checkpoint; None if it did not.

    Raises UserError if its file cannot be understood.
    """
    path = run.folder / IMPORTANCE
    again = "run minitx importance again, or delete the file"
    try:
        found = read_json(path, again)
    except FileNotFoundError:
        return None
    if (found.get("checkpoint"), found.get("step", run.step)) != (run.path.name, run.step):
        return None
    try:
        metric, split, whole = found["metric"], found["split"], float(found["with_all_heads"])
        sign = {"loss": 1, "accuracy": -1}[metric]
        without = {
            (str(row["attention"]), int(row["head"])): sign * (float(row[metric]) - whole) / whole
            for row in found["without"]
        }
        if not all(map(math.isfinite, without.values())) or not isinstance(split, str):
            raise ValueError("not a measurement")
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{path} is not a measurement of heads: {again}") from error
    return HeadCosts(metric, split, without)


def model_induction(run: StoredRun, samples: int = 16) -> dict[str, Tensor] | None:
    """Return the induction scores of the heads of a language model; None for other models."""
    if not run.config.task.objective.windows:
        return None
    try:
        return induction_score(run.model, run.tokenizer.vocab_size, samples=samples)
    except UserError:  # no attention, or no room for a repetition
        return None
