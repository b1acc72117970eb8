"""One head of attention step by step, with its numbers: in a tutorial, or in a trained model."""

from collections.abc import Sequence
from pathlib import Path

from minitx.data.lines import is_stream
from minitx.errors import UserError
from minitx.inspection.capture import (
    Attention,
    choices,
    find_attention,
    head_count,
    kind_of,
    layer_number,
)
from minitx.inspection.formulas import formulas_of
from minitx.inspection.model_inputs import Passage, read_passage
from minitx.inspection.scenes import trained_scene
from minitx.inspection.steps import Steps, steps_of
from minitx.inspection.tables import MOST_FEATURES, MOST_TOKENS, Page, Section, labels_of
from minitx.inspection.tables_html import to_html
from minitx.inspection.tables_markdown import to_markdown
from minitx.inspection.tables_text import PAGE_WIDTH, to_text, write_text
from minitx.inspection.walkthrough import four_steps
from minitx.nn.attention import MultiHeadAttention
from minitx.runs.paths import open_output
from minitx.runs.run import StoredRun
from minitx.terminal.console import Console
from minitx.terminal.streams import write_data
from minitx.terminal.text import say

FORMATS = {"text": to_text, "html": to_html, "markdown": to_markdown}
LONGEST_QUOTE = 80  # characters


def write_page(page: Page, format: str, output: str | None) -> None:
    """Write a page to `output`, or to standard output. If `output` is a file, print its name.

    Raises UserError as `open_output` does.
    """
    console = Console()
    on_terminal = output is None and format == "text" and console.is_terminal
    if on_terminal and console.width >= PAGE_WIDTH:
        write_text(page, console)
        return
    written = to_text(page, console.encoding) if on_terminal else FORMATS[format](page)
    if output is None:
        write_data(written)
        return
    with open_output(output) as file:
        file.write(written)
    if not is_stream(Path(output)):
        say(output)


def explain_head(
    run: StoredRun, text: str, *, part: str | None, layer: int, head: int, truncate: bool
) -> Page:
    """Explain one head of a run's model while it reads a text.

    `part` is "encoder" or "decoder" for self-attention there, "self" if only one of them has it,
    "cross", or None for the first that the model has. Layers and heads are numbered from 0.

    Raises UserError for a model without attention, for a part, layer or head that it does not have,
    and as `read_passage`.
    """
    name, attention = _chosen(run, part, layer, head)
    passage = read_passage(run, text, truncate=truncate)
    steps = steps_of(attention, lambda: passage.read_by(run.model))
    queries, keys = map(labels_of, passage.labels(name))
    notes = [_notes(passage, name, attention, steps, each) for each in range(head_count(attention))]
    tables = four_steps(attention, steps, [head], queries, keys)
    title = f"{run.title}: {name}"
    scene = trained_scene(title, attention, steps, head, notes, queries, keys)
    return Page(run.title, [Section(f"{name}, head {head}", notes[head], tables)], scene)


def explained(
    run: StoredRun,
    text: str,
    *,
    part: str | None = None,
    layer: int = 0,
    head: int = 0,
    truncate: bool = False,
) -> str:
    """Return the page of `minitx explain format=html` on a head, as HTML: see `explain_head`."""
    page = explain_head(run, text, part=part, layer=layer, head=head, truncate=truncate)
    return to_html(page)


def _notes(passage: Passage, name: str, attention: Attention, steps: Steps, head: int) -> list[str]:
    """Return notes on what a head reads and computes, and on what the tables leave out."""
    notes = [*passage.notes, f"The text is {_quoted(passage.text)}."]
    if passage.target_in is not None:
        notes.append(f"The output is {_quoted(passage.output)}.")
    if kind_of(name) == "cross":
        notes.append("A row is labelled with the output token that it helps to predict.")
    notes += formulas_of(attention, head).notes
    return [*notes, *_joining_notes(attention, head), *_excerpt_notes(steps)]


def _chosen(run: StoredRun, part: str | None, layer: int, head: int) -> tuple[str, Attention]:
    """Return the name of an attention, and the attention. Raises UserError if there is none."""
    found = find_attention(run.model)
    if not found:
        raise UserError(
            f"{run.path} has no attention to explain (its model is {run.config.model.name}): "
            "choose a run with model.mixer=attention, or a run of pairs with "
            "model.attention=additive or dot"
        )
    parts: dict[str, list[str]] = {}
    for name in found:
        parts.setdefault(kind_of(name), []).append(name)
    self_attention = [kind for kind in parts if kind != "cross"]
    if part == "self" and len(self_attention) == 1:
        part = self_attention[0]
    part = part or next(iter(parts))
    if part not in parts:
        raise UserError(f"part={part}: this model has {' or '.join(parts)}")
    names = {layer_number(name) or 0: name for name in parts[part]}
    _check_number("layer", layer, list(names), f"the model's {part}")
    name = names[layer]
    _check_number("head", head, range(head_count(found[name])), name)
    return name, found[name]


def _check_number(what: str, number: int, known: Sequence[int], owner: str) -> None:
    if number not in known:
        raise UserError(f"{what}={number}: {owner} has {choices(f'{what}s', known)}")


def _quoted(text: str) -> str:
    """Return a text in quotes and on one line; only its beginning if it is long."""
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…")


def _joining_notes(attention: Attention, head: int) -> list[str]:
    if not isinstance(attention, MultiHeadAttention) or attention.heads == 1:
        return []
    width = attention.head_dim
    return [
        f"The outputs of the {attention.heads} heads are joined and multiplied by Wo. "
        f"Head {head} has features {head * width + 1} to {(head + 1) * width}."
    ]


def _excerpt_notes(steps: Steps) -> list[str]:
    """Return notes on what the tables leave out."""
    queries, keys = steps.weights.shape[1:]
    features = steps.values.size(-1)
    long = [f"{n} {what}" for n, what in ((queries, "queries"), (keys, "keys")) if n > MOST_TOKENS]
    notes = []
    if long:
        half = MOST_TOKENS // 2
        notes.append(f"Of {' and '.join(long)} the first {half} and the last {half} are shown.")
    if features > MOST_FEATURES:
        notes.append(f"Of {features} features of the head the first {MOST_FEATURES} are shown.")
    return notes
