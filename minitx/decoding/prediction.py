"""Predict labels with a trained classifier."""

from collections.abc import Sequence

import numpy as np
import torch

from minitx.data.batching.batches import text_batch
from minitx.data.batching.buckets import EVALUATION_TOKENS, whole_batches
from minitx.data.batching.ragged import Ragged
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.decoding.translation import warn_of_unknown
from minitx.errors import UserError
from minitx.models.classifier import Classifier


def encode_text(text: str, tokenizer: SequenceTokenizer, context: int) -> list[int]:
    """Return a text's ids for a model with this context.

    Raises UserError for a text that is empty or longer than the context. Prints a note on standard
    error if the text has characters or words that the tokenizer does not know.
    """
    if not text.strip():
        raise UserError("the text is empty: give something to classify")
    ids = tokenizer.encode(text)
    if len(ids) + 1 > context:
        raise UserError(
            f"the text has {len(ids) + 1} tokens with the first symbol, and the model reads "
            f"{context}: shorten it, or train with model.context={len(ids) + 1}"
        )
    warn_of_unknown(text, ids, tokenizer)
    return ids


@torch.inference_mode()
def probabilities(model: Classifier, texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """Return the probability of every label, for each text (ids, as from `encode_text`)."""
    device = next(model.parameters()).device
    lengths = np.array([len(ids) + 1 for ids in texts])
    found: list[list[float]] = [[] for _ in texts]
    for rows in whole_batches(lengths, EVALUATION_TOKENS):
        tokens, padding = text_batch(Ragged.of([texts[row] for row in rows]))
        logits = model(tokens.to(device), padding.to(device))
        for row, values in zip(rows, logits.cpu().double().softmax(dim=-1), strict=True):
            found[row] = values.tolist()
    return found
