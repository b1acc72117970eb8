"""What the page says about a decoder of the library `transformers`, in addition to its maps."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from minitx.inspection.findings import predictions_of
from minitx.inspection.foreign_inputs import NO_LIMIT, Inputs, spell, token_limit
from minitx.inspection.induction import LONGEST, repeated_texts, repetition_score
from minitx.inspection.weights import Findings, Prediction

TEXT_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
SAMPLES = 4  # texts of random tokens: the model may be large


def foreign_findings(model: Any, tokenizer: Any, inputs: Inputs, outputs: Any) -> Findings | None:
    """Return what is known about a decoder and a text, which gave `outputs`.

    Call it while the model has eager attention. Returns None if it reads more than tokens.
    """
    if "input_ids" not in inputs.tensors or not inputs.tensors.keys() <= TEXT_INPUTS:
        return None
    ids = inputs.tensors["input_ids"][0]
    return Findings(
        _induction(model, tokenizer, ids), _next_tokens(model, tokenizer, inputs, outputs)
    )


def _next_tokens(
    model: Any, tokenizer: Any, inputs: Inputs, outputs: Any
) -> tuple[Prediction, ...]:
    """Return what a model expects after each token, nothing if it predicts no tokens."""
    ids, labels = inputs.tensors["input_ids"][0].tolist(), inputs.source
    logits = getattr(outputs, "logits", None)
    if logits is None or labels is None or model.get_output_embeddings() is None:
        return ()
    return predictions_of(logits[0], ids, labels, partial(spell, tokenizer))


def _induction(model: Any, tokenizer: Any, ids: Tensor) -> dict[str, Tensor] | None:
    """Return the induction scores of the heads, or None if there is no room for a repetition.

    The random tokens are not special tokens, except for the one that the text begins with, if any.
    """
    special = set(getattr(tokenizer, "all_special_ids", ()))
    vocab_size = model.get_input_embeddings().num_embeddings
    ordinary = torch.tensor([i for i in range(vocab_size) if i not in special])
    begin = ids[:1].cpu() if int(ids[0]) in special else ids[:0].cpu()
    room = (token_limit(model, tokenizer) or NO_LIMIT) - len(begin)
    window = getattr(model.config, "sliding_window", None) or NO_LIMIT
    length = min(room // 2, window, len(ordinary), LONGEST)
    if length < 2:
        return None
    texts = ordinary[repeated_texts(len(ordinary), length, SAMPLES)]
    texts = torch.cat([begin.expand(SAMPLES, -1), texts], dim=1).to(ids.device)
    layers: Sequence[Tensor | None] = model(
        input_ids=texts, output_attentions=True, return_dict=True
    ).attentions
    start = len(begin)
    return {
        f"decoder.layers.{number}.self": repetition_score(
            weights[:, :, start:, start:].float(), length
        ).cpu()
        for number, weights in enumerate(layers)
        if weights is not None
    }
