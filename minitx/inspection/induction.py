"""Which heads of a language model complete a repetition: ... A B ... A -> B.

A text of random tokens, no two alike, is read twice over. It has no meaning and no habits to go
by; the one way to know what comes next, the second time, is to look where it came the first time.
With tokens x(0) ... x(L-1) and then the same again, a head's score is

    mean over i < L of  w(L + i, i + 1)

the weight that the second x(i) gives to what followed the first one. A perfect induction head
scores 1; one that attends to all alike scores about ln 2 / L.

Source: the prefix matching of Olsson et al. 2022, "In-context Learning and Induction Heads", here
with a single repetition.
"""

import torch
from torch import Tensor

from minitx.errors import UserError
from minitx.inspection.capture import capture, find_attention
from minitx.models.language_model import LanguageModel
from minitx.nn.attention import SelfAttention

LONGEST = 50  # tokens that are repeated, where the model has room for them


@torch.no_grad()
def induction_score(
    model: LanguageModel,
    vocab_size: int,
    *,
    length: int | None = None,
    samples: int = 16,
    seed: int = 0,
) -> dict[str, Tensor]:
    """The score of every head: float32 (heads,) for each attention, by name.

    It is the mean over `samples` texts of `length` tokens, read twice; without a length, as many as
    fit the context, the vocabulary and a window, and `LONGEST` at most. Raises UserError where the
    length does not fit, or the model has no attention.
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
            f"length={length}: induction needs 2 tokens at least, each twice in the context of "
            f"{model.context}, and all different out of {vocab_size}"
        )
    generator = torch.Generator().manual_seed(seed)
    texts = [torch.randperm(vocab_size, generator=generator)[:length] for _ in range(samples)]
    once = torch.stack(texts).to(model.to_logits.weight.device)  # (samples, L)
    with capture(model) as captured:
        model(torch.cat([once, once], dim=1))
    return {name: repetition_score(weights, length) for name, weights in captured.items()}


def repetition_score(weights: Tensor, length: int) -> Tensor:
    """The formula above: weights (B, H, 2L, 2L) of texts that repeat after L -> (H,)."""
    second = weights[:, :, length:]  # (B, H, L, 2L), rows i = 0, 1, ...
    return second.diagonal(1, dim1=-2, dim2=-1).mean(dim=(0, 2))
