"""Classify texts with a trained classifier."""

import sys

from rich.cells import cell_len

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.commands.text_io import answer_lines, check_texts
from minitx.config.schema import PredictConfig
from minitx.config.tasks import CLASSIFICATION
from minitx.data.lines import json_line, on_one_line
from minitx.runs.checks import check_run
from minitx.terminal.text import printable


def predict(config: PredictConfig, overrides: list[str]) -> None:
    """Classify `config.text`, or every line of a file or of standard input.

    Prints a table of probabilities for a single text and in a terminal. Otherwise prints a line of
    JSON for each text, with its label and the probability of every label. Raises UserError as
    `answer_lines` does, for a run of another objective, and for a text that is empty or longer than
    the model's context.
    """
    check_prediction(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.encoding import encode_text
        from minitx.decoding.prediction import probabilities
        from minitx.runs.run import load_for

    run = load_for(CLASSIFICATION, config.run, config.device)
    model, vocabulary = run.model, run.vocabulary
    readable = config.output is None and (config.text is not None or sys.stdout.isatty())

    def prepare(text: str) -> list[int]:
        return encode_text(text, vocabulary.tokenizer, run.config.model.context)

    def answer(texts: list[list[int]]) -> list[str]:
        return [show(values) for values in probabilities(model, texts)]

    def show(values: list[float]) -> str:
        ranked = vocabulary.ranked(values)
        if readable:
            return table(ranked)
        return json_line({"label": next(iter(ranked)), "probabilities": ranked})

    answer_lines(config.text, config.input, config.output, prepare, answer)


def table(ranked: dict[str, float]) -> str:
    """Return a line for each label, with the probabilities in a column."""
    names = {label: printable(on_one_line(label), kept="") for label in ranked}
    width = max(map(cell_len, names.values()))
    return "\n".join(
        f"{names[label]}{' ' * (width - cell_len(names[label]))}  {share:7.2%}"
        for label, share in ranked.items()
    )


def check_prediction(config: PredictConfig) -> None:
    """Raise UserError if the run or the texts are missing, or if the run is not a classifier."""
    check_run(config.run, CLASSIFICATION)
    check_texts(config.text, config.input, config.output)


COMMAND = Command(
    name="predict",
    summary="Classify texts with a trained classifier.",
    function=predict,
    schema=PredictConfig,
    examples=(
        ('run=runs/... text="O, she doth teach the torches to burn bright!"', ""),
        ("run=runs/... input=texts.txt output=classes.jsonl", ""),
    ),
    texts=("text",),
)
