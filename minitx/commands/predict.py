"""Classes of texts, by a trained classifier."""

import json
import sys

import numpy as np
import torch

from minitx.commands.text_io import answer_lines
from minitx.config.schema import CLASSIFICATION, PredictConfig
from minitx.data.batching.batches import text_batch
from minitx.data.batching.buckets import EVALUATION_TOKENS, whole_batches
from minitx.data.batching.ragged import Ragged
from minitx.decoding.translation import warn_of_unknown
from minitx.errors import UserError
from minitx.models.classifier import Classifier
from minitx.runs.run import load_for
from minitx.runs.vocabulary import LabelVocabulary


@torch.inference_mode()
def predict(config: PredictConfig) -> None:
    """Tells the class of `config.text`, or of every line of a file or of standard input.

    On a terminal, and for a single text, a table of the probabilities; else a line of JSON for each
    text: its label, and the probability of every label. Raises UserError as `answer_lines`, for a
    run of another objective, and for a text that is empty or longer than the model's context.
    """
    run = load_for(CLASSIFICATION, config.run, config.device)
    model, vocabulary = run.model, run.vocabulary
    assert isinstance(model, Classifier)
    assert isinstance(vocabulary, LabelVocabulary)
    context = run.config.model.context

    def prepare(text: str) -> list[int]:
        if not text.strip():
            raise UserError("the text is empty: give something to classify")
        ids = vocabulary.tokenizer.encode(text)
        if len(ids) + 1 > context:
            raise UserError(
                f"the text has {len(ids) + 1} tokens with the first symbol, and the model reads "
                f"{context}: shorten it, or train with model.context={len(ids) + 1}"
            )
        warn_of_unknown(text, ids, vocabulary.tokenizer)
        return ids

    def answer(texts: list[list[int]]) -> list[str]:
        lengths = np.array([len(ids) + 1 for ids in texts])
        shown = [""] * len(texts)
        for rows in whole_batches(lengths, EVALUATION_TOKENS):
            tokens, padding = text_batch(Ragged.of([texts[row] for row in rows]))
            logits = model(tokens.to(run.device), padding.to(run.device))
            for row, probabilities in zip(rows, logits.cpu().double().softmax(dim=-1), strict=True):
                shown[row] = show(probabilities.tolist())
        return shown

    def show(probabilities: list[float]) -> str:
        named = sorted(zip(vocabulary.labels, probabilities, strict=True), key=lambda x: -x[1])
        if readable:
            width = max(map(len, vocabulary.labels))
            return "\n".join(f"{name:<{width}}  {share:7.2%}" for name, share in named)
        answer = {"label": named[0][0], "probabilities": dict(named)}
        return json.dumps(answer, ensure_ascii=False)

    readable = config.output is None and (config.text is not None or sys.stdout.isatty())
    answer_lines(config.text, config.input, config.output, prepare, answer)
