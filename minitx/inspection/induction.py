"""Which heads of a language model complete a repetition: ... A B ... A -> B.

The model reads a text of distinct random tokens twice in a row. Nothing in the text can be
predicted, except that the second half repeats the first. With tokens x(0) ... x(L-1), repeated
once, the score of a head is

    mean over i < L of  w(L + i, i + 1)

the weight that the second x(i) gives to the token that followed the first x(i). A perfect induction
head scores 1. A head that attends equally to all tokens scores about ln 2 / L.

Source: the prefix matching of Olsson et al. 2022, "In-context Learning and Induction Heads", here
with a single repetition.
"""

import torch
from torch import Tensor

from minitx.errors import UserError
from minitx.inspection.capture import capture, find_attention
from minitx.models.language_model import LanguageModel
from minitx.nn.attention import SelfAttention

LONGEST = 50  # tokens that are repeated, if the model has room for them


@torch.no_grad()
def induction_score(
    model: LanguageModel,
    vocab_size: int,
    *,
    length: int | None = None,
    samples: int = 16,
) -> dict[str, Tensor]:
    """Return the score of every head: float32 (heads,) for each attention, by name.

    It is the mean over `samples` texts of `length` tokens, each read twice. Without a length, texts
    are as long as the context, the vocabulary and the windows allow, and at most `LONGEST`. Raises
    UserError if the length does not fit, or if the model has no attention.
    """
    room = min(model.context // 2, vocab_size)
    windows = [
        attention.window
        for attention in find_attention(model).values()
        if isinstance(attention, SelfAttention) and attention.window is not None
    ]
    length = min(room, LONGEST, *windows) if length is None else length
    if not 2 <= length <= room:
        raise UserError(
            f"length={length}: induction needs at least 2 tokens, each twice in the context of "
            f"{model.context}, and all different out of {vocab_size}"
        )
    texts = repeated_texts(vocab_size, length, samples)
    with capture(model) as captured:
        model(texts.to(model.to_logits.weight.device))
    return {name: repetition_score(weights, length) for name, weights in captured.items()}


def repeated_texts(vocab_size: int, length: int, samples: int) -> Tensor:
    """Return texts of `length` distinct random tokens, each twice: int64 (samples, 2 length).

    They are always the same.
    """
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randperm(vocab_size, generator=generator)[:length] for _ in range(samples)]
    once = torch.stack(texts)  # (samples, L)
    return torch.cat([once, once], dim=1)


def repetition_score(weights: Tensor, length: int) -> Tensor:
    """Return the score by the formula above: weights (B, H, 2L, 2L), L = length -> (H,)."""
    second = weights[:, :, length:]  # (B, H, L, 2L), rows i = 0, 1, ...
    return second.diagonal(1, dim1=-2, dim2=-1).mean(dim=(0, 2))
