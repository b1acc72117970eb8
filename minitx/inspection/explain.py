"""One head of attention step by step, with its numbers: of a tutorial, or of a trained model."""

from collections.abc import Sequence

import torch
from rich.console import Console

from minitx.errors import UserError
from minitx.inspection.capture import Attention, find_attention, head_count, layer_of
from minitx.inspection.formulas import formulas_of
from minitx.inspection.model_inputs import Passage, read_passage
from minitx.inspection.steps import Steps, steps_of
from minitx.inspection.tables import MOST_FEATURES, MOST_TOKENS, Page, Section, label_of
from minitx.inspection.tables_html import to_html
from minitx.inspection.tables_markdown import to_markdown
from minitx.inspection.tables_text import PAGE_WIDTH, to_text, write_text
from minitx.inspection.walkthrough import four_steps
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import MultiHeadAttention
from minitx.runs.paths import open_output
from minitx.runs.run import Run

FORMATS = {"text": to_text, "html": to_html, "markdown": to_markdown}
LONGEST_QUOTE = 80  # characters


def write_page(page: Page, format: str, output: str | None) -> None:
    """Write a page to the file `output`, or to standard output.

    Raises UserError for an output that is there already or cannot be written.
    """
    console = Console()
    colours = console.is_terminal and console.width >= PAGE_WIDTH
    if output is None and format == "text" and colours:
        write_text(page, console)
        return
    written = FORMATS[format](page)
    if output is None:
        print(written, end="")
        return
    with open_output(output) as file:
        file.write(written)
    print(output)


def explain_head(
    run: Run, text: str, *, part: str | None, layer: int, head: int, truncate: bool
) -> Page:
    """One head of a run's model while it reads a text.

    `part` is "encoder" or "decoder" for self-attention there, "self" where only one of them has it,
    "cross", or None for the first that the model has. Layers and heads are counted from 0.

    Raises UserError for a model without attention, for a part, layer or head that it does not have,
    and for the text as `read_passage`.
    """
    name, attention = _chosen(run, part, layer, head)
    passage = read_passage(run, text, truncate=truncate)
    steps = steps_of(attention, lambda: _read(run, passage))
    queries, keys = (list(map(label_of, labels)) for labels in passage.labels(name))
    notes = [f"The text is {_quoted(text)}."]
    if passage.target_in is not None:
        notes.append(f"The output is {_quoted(passage.output)}.")
    if name.endswith("cross"):
        notes.append("A row is called by the token of the output that it helps to predict.")
    notes += [*formulas_of(attention, head).notes, *_of_joining(attention, head)]
    section = Section(
        f"{name}, head {head}",
        [*passage.notes, *notes, *_of_excerpts(steps)],
        four_steps(attention, steps, [head], queries, keys),
    )
    title = f"{run.config.model.name} on {run.config.task.name}, step {run.step:,}"
    return Page(title, [section])


def _chosen(run: Run, part: str | None, layer: int, head: int) -> tuple[str, Attention]:
    """The attention that is meant, and its name. Raises UserError where there is none such."""
    found = find_attention(run.model)
    if not found:
        raise UserError(
            f"{run.path} has no attention to explain (it is a {run.config.model.name}): choose a "
            "run with model.mixer=attention, or of pairs with model.attention=additive or dot"
        )
    parts: dict[str, list[str]] = {}
    for name in found:
        kind = "cross" if name.endswith("cross") else name.split(".")[0]
        parts.setdefault(kind, []).append(name)
    of_self = [kind for kind in parts if kind != "cross"]
    if part == "self" and len(of_self) == 1:
        part = of_self[0]
    part = part or next(iter(parts))
    if part not in parts:
        raise UserError(f"part={part}: it may be {' or '.join(parts)} in this model")
    names = {layer_of(name): name for name in parts[part]}
    _check_number("layer", layer, list(names), f"the model's {part}")
    name = names[layer]
    _check_number("head", head, range(head_count(found[name])), name)
    return name, found[name]


def _check_number(what: str, number: int, known: Sequence[int], where: str) -> None:
    if number not in known:
        first, last = known[0], known[-1]
        there = f"{what}s {first} to {last}" if len(known) > 1 else f"{what} {first} alone"
        if list(known) != list(range(first, last + 1)):  # a hybrid's attention
            there = f"{what}s {', '.join(map(str, known))}"
        raise UserError(f"{what}={number}: {where} has {there}")


def _read(run: Run, passage: Passage) -> None:
    """Lets the model read the passage, a decoder its output all at once."""
    with torch.no_grad():
        if isinstance(run.model, Seq2Seq):
            assert passage.target_in is not None
            run.model(passage.source.ids, None, passage.target_in.ids, logits=False)
        else:
            run.model(passage.source.ids)


def _quoted(text: str) -> str:
    """A text in quotes, in one line, and only its beginning if it is long."""
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…")


def _of_joining(attention: Attention, head: int) -> list[str]:
    if not isinstance(attention, MultiHeadAttention) or attention.heads == 1:
        return []
    width = attention.head_dim
    return [
        f"The {attention.heads} heads' outputs stand side by side and go through Wo; those of head "
        f"{head} are features {head * width + 1} to {(head + 1) * width}."
    ]


def _of_excerpts(steps: Steps) -> list[str]:
    """That not all is shown, where it is so."""
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
