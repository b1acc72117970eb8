"""From a run and a text to attention maps, and to the influence of every token."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from minitx.config.paths import full_path
from minitx.data.progress import announced
from minitx.errors import UserError
from minitx.inspection.capture import (
    capture,
    find_attention,
    head_count,
    layer_number,
    of_layers,
    selection,
)
from minitx.inspection.findings import findings
from minitx.inspection.foreign import foreign_attention
from minitx.inspection.implicit import capture_implicit, find_implicit
from minitx.inspection.influence import token_influence
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.model_inputs import Passage, read_passage
from minitx.inspection.weights import AttentionMap, Influence
from minitx.interop.folders import is_model_folder, open_folder
from minitx.runs.run import StoredRun

MOST_INFLUENCED = 128
IMPLICIT = (
    "implicit maps are not attention: they are the weights with which a recurrence adds up the "
    "values of tokens (Katharopoulos et al. 2020, Ali et al. 2024). A row need not sum to one. The "
    "measures are those of the absolute weights, as fractions of their row"
)


def attention(
    run: Any,
    text: Any,
    *,
    tokenizer: Any = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    truncate: bool = False,
    output: str | None = None,
) -> AttentionMaps:
    """Return what every head attends to while the run's model reads a text, and its findings.

    A recurrence whose mixing step is a weighted sum has implicit maps instead, as
    `minitx.inspection.implicit` says. If it has a map per channel, `heads` selects channels, and
    without `heads` there is one map, their mean.

    `run` is an opened run, or the path of one: a run's folder, or a .ckpt file. `layers` and
    `heads` select some of them, numbered from 0. `truncate` cuts a text that is longer than the
    context.

    `run` may also be a model of the library `transformers` with its `tokenizer`, or a folder that
    `save_pretrained` wrote: see `foreign_attention`.

    After the text, a sequence-to-sequence model reads `output`, or the output that
    `minitx translate` would find. It reads all of it at once: row t of a cross map belongs to
    output token t. For classifiers `output` may name a label (see `influence`).

    Raises UserError for a model without such maps, for layers or heads that it does not have, for
    implicit maps that do not fit into memory, and as `read_passage` and `StoredRun.open`.
    """
    if isinstance(run, str | Path):
        folder = Path(full_path(run, "run"))
        if is_model_folder(folder):
            run, found = open_folder(folder)
            tokenizer = found if tokenizer is None else tokenizer
        else:
            run = StoredRun.open(run)
    if not isinstance(run, StoredRun):
        return foreign_attention(
            run, text, tokenizer, layers=layers, heads=heads, truncate=truncate, output=output
        )
    if tokenizer is not None:
        raise UserError("a run has its own tokenizer: leave tokenizer= out")
    if not find_attention(run.model) and not find_implicit(run.model):
        raise UserError(
            f"{run.title} has no attention to show. It has the influence of every token on its "
            "predictions: minitx.inspection.reading.influence(run, text)"
        )
    if not isinstance(text, str):
        raise UserError(f"text is a {type(text).__name__}: a run reads a string")
    passage = read_passage(run, text, truncate=truncate, output=output)
    maps = _maps(run, passage, layers, heads)
    about = _about(run, passage, layers, heads, truncate, output)
    found = findings(run, passage)
    about["notes"] += [*_notes_of_implicit(maps), *found.notes]
    return AttentionMaps(maps, run.title, about, None, found)


def maps_alone(
    run: StoredRun, text: str, *, truncate: bool = False, output: str | None = None
) -> AttentionMaps:
    """Return the maps of `attention` without findings, for many texts or many checkpoints.

    Raises UserError as `attention`.
    """
    passage = read_passage(run, text, truncate=truncate, output=output)
    about = _about(run, passage, None, None, truncate, output)
    return AttentionMaps(_maps(run, passage, None, None), run.title, about)


def influence(
    run: StoredRun, text: str, *, truncate: bool = False, output: str | None = None
) -> Influence:
    """Return how much every prediction depends on every token, by gradient x input, for any model.

    There is a column for each token of the text. For a language model there is a row for each next
    token (the last is its own guess); for a sequence-to-sequence model a row for each token of its
    output, which is as in `attention`; for a classifier one row, for the label that it predicts or
    for the label that `output` names.

    Raises UserError as `read_passage`.
    """
    return _influence(run, read_passage(run, text, truncate=truncate, output=output))


def inspect_text(
    run: StoredRun,
    text: str,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    truncate: bool = False,
    output: str | None = None,
) -> AttentionMaps:
    """Return the maps and findings of `attention`, if the model has any, with `influence`.

    Influence takes one backward pass for each prediction. If the model has attention and there are
    more than `MOST_INFLUENCED` predictions, influence is left out, with a note.
    """
    passage = read_passage(run, text, truncate=truncate, output=output)
    about = _about(run, passage, layers, heads, truncate, output)
    maps: tuple[AttentionMap, ...] = ()
    if find_attention(run.model) or find_implicit(run.model):
        maps = _maps(run, passage, layers, heads)
        about["notes"] += _notes_of_implicit(maps)
    else:
        instead = "the page shows the influence of every token on its predictions"
        about["notes"] += [f"this {run.config.model.name} has no attention: {instead}"]
    found = findings(run, passage)
    about["notes"] += found.notes
    predictions = len(passage.predicted.labels)
    if maps and predictions > MOST_INFLUENCED:
        about["notes"] += [f"influence is left out: {predictions} predictions are too many"]
        return AttentionMaps(maps, run.title, about, None, found)
    return AttentionMaps(maps, run.title, about, _influence(run, passage), found)


def _maps(
    run: StoredRun, passage: Passage, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> tuple[AttentionMap, ...]:
    explicit, implicit = find_attention(run.model), find_implicit(run.model)
    chosen = of_layers({**explicit, **implicit}, layers)
    explicit = {name: each for name, each in explicit.items() if name in chosen}
    implicit = {name: each for name, each in implicit.items() if name in chosen}
    captured: Mapping[str, Tensor] = {}
    with ExitStack() as captures:
        if explicit:
            of_explicit = sorted({layer_number(name) or 0 for name in explicit})
            captured = captures.enter_context(capture(run.model, of_explicit, heads))
        summed = captures.enter_context(capture_implicit(implicit, heads))
        passage.read_by(run.model)
    maps = []
    for name, weights in captured.items():
        heads_of = range(head_count(explicit[name])) if heads is None else dict.fromkeys(heads)
        maps.append(AttentionMap(name, weights[0], *passage.labels(name), tuple(heads_of)))
    for name, found in summed.items():
        labels = passage.labels(name)
        maps.append(
            AttentionMap(name, found.weights, *labels, found.heads, found.unit, found.mean_of)
        )

    # Layer by layer, in hybrids too; the encoder comes first.
    def place(each: AttentionMap) -> tuple[bool, int, bool]:
        return each.name.startswith("decoder"), each.layer or 0, each.kind == "cross"

    return tuple(sorted(maps, key=place))


def _notes_of_implicit(maps: Sequence[AttentionMap]) -> list[str]:
    implicit = [each for each in maps if each.implicit]
    notes = [IMPLICIT] if implicit else []
    if means := [each for each in implicit if each.mean_of is not None]:
        notes.append(
            f"{', '.join(each.name for each in means)}: the mean over {means[0].mean_of} channels, "
            "each of which has a map; heads=[0,1] shows channels 0 and 1"
        )
    return notes


def _influence(run: StoredRun, passage: Passage) -> Influence:
    target_in = None if passage.target_in is None else passage.target_in.ids
    source, predicted = passage.source.ids, passage.predicted.ids[0]
    with announced("measuring the influence of every token"):
        weights = token_influence(run.model, source, predicted, target_in)
    return Influence(weights, passage.predicted.labels, passage.source.labels)


def _about(
    run: StoredRun,
    passage: Passage,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    truncate: bool,
    output: str | None,
) -> dict[str, Any]:
    searched = passage.target_in is not None and output is None
    return {
        "run": run.folder.resolve().name,
        "checkpoint": run.path.name,
        "step": run.step,
        "task": run.config.task.name,
        "objective": run.config.task.objective.name,
        "model": run.config.model.name,
        "text": passage.text,
        "output": passage.output,
        "notes": list(passage.notes),
        "settings": {
            **selection(layers, heads, truncate),
            "output_given": output is not None,
            "decoding": dataclasses.asdict(run.config.decoding) if searched else None,
        },
    }
