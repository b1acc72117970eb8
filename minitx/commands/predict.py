"""Let a trained model name the class of texts."""

import json
import sys

from minitx.commands.cli import main as run_command
from minitx.commands.console import loading
from minitx.commands.text_io import answer_lines, check_texts
from minitx.config.schema import PredictConfig
from minitx.config.tasks import CLASSIFICATION
from minitx.runs.checks import check_run


def main() -> None:
    """Run scripts/predict.py with the command line of this process."""
    run_command("predict", PredictConfig, predict)


def predict(config: PredictConfig, overrides: list[str]) -> None:
    """Name the class of `config.text`, or of every line of a file or of standard input.

    On a terminal, and for a single text, a table of the probabilities; else a line of JSON for each
    text: its label, and the probability of every label. Raises UserError as `answer_lines`, for a
    run of another objective, and for a text that is empty or longer than the model's context.
    """
    check_prediction(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.prediction import encode_text, probabilities
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
            width = max(map(len, vocabulary.labels))
            return "\n".join(f"{name:<{width}}  {share:7.2%}" for name, share in ranked.items())
        answer = {"label": next(iter(ranked)), "probabilities": ranked}
        return json.dumps(answer, ensure_ascii=False)

    answer_lines(config.text, config.input, config.output, prepare, answer)


def check_prediction(config: PredictConfig) -> None:
    """As `check_translation`, for classifiers."""
    check_run(config.run, CLASSIFICATION)
    check_texts(config.text, config.input, config.output)
