"""Predict labels with a trained classifier."""

from collections.abc import Sequence

import numpy as np
import torch

from minitx.data.batching.batches import text_batch
from minitx.data.batching.buckets import EVALUATION_TOKENS, whole_batches
from minitx.data.batching.ragged import Ragged
from minitx.models.classifier import Classifier


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
