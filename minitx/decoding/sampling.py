"""Generate text with a language model, token by token."""

from collections.abc import Iterator

import torch
from torch import Tensor

from minitx.models.language_model import LanguageModel


def filter_logits(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Rule out unlikely tokens: logits (..., vocab) -> the same with some set to -inf.

    `top_k` keeps the k most likely tokens (Fan et al. 2018). `top_p` keeps the smallest set of most
    likely tokens whose probabilities add up to p (Holtzman et al. 2020, nucleus sampling). The most
    likely token is always kept. Raises ValueError for k < 1 or p outside (0, 1].
    """
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"top_k={top_k}: keep at least 1 token")
        kth = logits.topk(min(top_k, logits.size(-1)), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: it must be above 0 and at most 1")
    if top_p is not None and top_p < 1:  # 1 keeps all tokens, whatever the rounding
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities  # mass of the more likely tokens
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
        logits = logits.masked_fill(dropped, -torch.inf)
    return logits


COLDEST = 1e-30


def sample_token(
    logits: Tensor,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Sample a token from each row: logits (B, vocab) -> int64 (B,). Temperature 0: the best one.

    So does one below 1e-30, by which no logit can be divided in float32.

    Raises ValueError for a negative temperature.
    """
    if temperature < 0:
        raise ValueError(f"temperature={temperature}: it may not be negative")
    if temperature < COLDEST:
        return logits.argmax(dim=-1)
    probabilities = filter_logits(logits.float() / temperature, top_k, top_p).softmax(dim=-1)
    # As torch.multinomial draws, without its checks: the first of events with these rates.
    waiting = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / waiting).argmax(dim=-1)


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt: Tensor,
    length: int,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    cached: bool = True,
) -> Iterator[Tensor]:
    """Continue each row of prompt, int64 (B, T >= 1), by `length` tokens; yield them, int64 (B,).

    The model never sees more than its context. When the context is full, generation continues from
    its later half. (To drop one token at a time would change every position, and with it the whole
    cache.) `cached=False` computes the whole prefix again for each token. The text is the same; it
    is there for comparisons.
    """
    fresh, state = prompt[:, -model.context :], None
    seen = list(fresh.unbind(dim=1))  # (B,) each
    for _ in range(length):
        logits, state = model(fresh, state=state)
        token = sample_token(logits[:, -1], generator, temperature, top_k, top_p)
        yield token
        seen.append(token)
        if len(seen) > model.context:
            del seen[: -(model.context // 2 + 1)]
            fresh, state = torch.stack(seen, dim=1), None
        elif cached:
            fresh = token[:, None]
        else:
            fresh, state = torch.cat([fresh, token[:, None]], dim=1), None
