"""From a run and a text to what its model attends to, and to what its predictions are due."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from minitx.errors import UserError
from minitx.inspection.capture import capture, find_attention, head_count
from minitx.inspection.influence import token_influence
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.model_inputs import Passage, read_passage
from minitx.inspection.weights import AttentionMap, Influence
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.run import Run, load

MOST_INFLUENCED = 128


def attention(
    run: Run | str | Path,
    text: str,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    truncate: bool = False,
    output: str | None = None,
) -> AttentionMaps:
    """What every head attends to while the run's model reads a text.

    `run` is an opened run, or what `load` opens: a run's folder, or a .ckpt file.

    A sequence-to-sequence model reads its own output after the text, as scripts/translate.py would
    find it, or `output`, all at once: row t of a cross map belongs to output token t. `layers` and
    `heads` keep those alone, numbered from 0; `truncate` cuts a text that is longer than the
    context. For classifiers `output` may name a label (see `influence`).

    Raises UserError for a model without attention, layers or heads that it does not have, a text as
    in `read_passage` (empty, too long, or with unknown characters), and as `load`.
    """
    run = load(run) if isinstance(run, str | Path) else run
    if not find_attention(run.model):
        raise UserError(
            f"{run.title} has no attention to show; what it has is the influence of every token "
            "on its predictions: minitx.inspection.reading.influence(run, text)"
        )
    passage = read_passage(run, text, truncate=truncate, output=output)
    maps = _maps(run, passage, layers, heads)
    about = _about(run, text, passage) | _settings(run, passage, layers, heads, truncate, output)
    return AttentionMaps(maps, run.title, about)


def influence(
    run: Run, text: str, *, truncate: bool = False, output: str | None = None
) -> Influence:
    """How much of every prediction is due to every token, by gradient x input, for any model.

    A row for each next token of a language model (the last is its own guess) or for each token of a
    sequence-to-sequence model's output, which is as in `attention`; for a classifier one row, for
    the label it gives, or for the label that `output` names. A column for each token of the text.

    Raises UserError as `read_passage`.
    """
    return _influence(run, read_passage(run, text, truncate=truncate, output=output))


def inspect_text(
    run: Run,
    text: str,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    truncate: bool = False,
    output: str | None = None,
) -> AttentionMaps:
    """All there is to see of any model: `attention`, if it has any, and `influence`, together.

    Where there is attention to see, the influence on more than `MOST_INFLUENCED` predictions is
    left out, with a note: each takes a backward pass of its own.
    """
    passage = read_passage(run, text, truncate=truncate, output=output)
    about = _about(run, text, passage) | _settings(run, passage, layers, heads, truncate, output)
    maps: tuple[AttentionMap, ...] = ()
    if find_attention(run.model):
        maps = _maps(run, passage, layers, heads)
    else:
        instead = "what is shown is the influence of every token on its predictions"
        about["notes"] += [f"this {run.config.model.name} has no attention: {instead}"]
    predictions = len(passage.predicted.labels)
    if maps and predictions > MOST_INFLUENCED:
        about["notes"] += [f"influence is left out: {predictions} predictions are too many"]
        return AttentionMaps(maps, run.title, about)
    return AttentionMaps(maps, run.title, about, _influence(run, passage))


@torch.no_grad()
def _maps(
    run: Run, passage: Passage, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> tuple[AttentionMap, ...]:
    with capture(run.model, layers, heads) as captured:
        if isinstance(run.model, Seq2Seq):
            assert passage.target_in is not None
            run.model(passage.source.ids, None, passage.target_in.ids, logits=False)
        else:
            run.model(passage.source.ids)
    found = find_attention(run.model)
    maps = []
    for name, weights in captured.items():
        numbers = range(head_count(found[name])) if heads is None else dict.fromkeys(heads)
        maps.append(AttentionMap(name, weights[0], *passage.labels(name), tuple(numbers)))
    return tuple(maps)


def _influence(run: Run, passage: Passage) -> Influence:
    target_in = None if passage.target_in is None else passage.target_in.ids
    weights = token_influence(run.model, passage.source.ids, passage.predicted.ids[0], target_in)
    return Influence(weights, passage.predicted.labels, passage.source.labels)


def _about(run: Run, text: str, passage: Passage) -> dict[str, Any]:
    return {
        "run": run.folder.resolve().name,
        "checkpoint": run.path.name,
        "step": run.step,
        "task": run.config.task.name,
        "objective": run.config.task.objective.name,
        "model": run.config.model.name,
        "text": text,
        "output": passage.output,
        "notes": list(passage.notes),
    }


def _settings(
    run: Run,
    passage: Passage,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    truncate: bool,
    output: str | None,
) -> dict[str, Any]:
    searched = passage.target_in is not None and output is None
    settings = {
        "layers": None if layers is None else list(layers),
        "heads": None if heads is None else list(heads),
        "truncate": truncate,
        "output_given": output is not None,
        "decoding": dataclasses.asdict(run.config.decoding) if searched else None,
    }
    return {"settings": settings}
