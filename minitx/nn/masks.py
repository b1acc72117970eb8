"""Masks: which query may attend to which key.

A mask is boolean and **True means "may attend"**, as in torch's `scaled_dot_product_attention`.
`nn.MultiheadAttention` has the opposite polarity. Masks broadcast to (batch, heads, queries, keys)
and are combined with `&`.

If there are fewer queries than keys, the queries are the *last* positions of the sequence. This is
the case in decoding with a key/value cache: one new query attends to all keys so far.
"""

import torch
from torch import Tensor


def causal(queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """Return the mask that hides later keys: bool (queries, keys), True = may attend.

    Source: Vaswani et al. 2017, section 3.2.3 ("masking out" illegal connections).
    """
    return _offset(queries, keys, device) >= 0


def sliding_window(
    queries: int, keys: int, window: int, device: torch.device | None = None
) -> Tensor:
    """Return the mask that hides keys `window` or more positions away: bool (queries, keys).

    Combined with `causal`, it leaves the query itself and the `window - 1` keys before it.
    Source: Beltagy et al. 2020 (Longformer), section 3.1.
    """
    return _offset(queries, keys, device).abs() < window


def not_padding(padding: Tensor) -> Tensor:
    """Return the mask that hides padding (batch, 1, 1, keys).

    `padding` is bool (batch, keys), True = a real token.
    """
    return padding[:, None, None, :]


def masked_softmax(scores: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the weights for scores (B, H, Q, K): they sum to one over the allowed keys.

    `allowed` is bool and broadcasts to the scores. If a query may attend to no key, its weights are
    zero and its gradients are finite.
    """
    if allowed is None:
        return scores.softmax(dim=-1)
    # The lowest finite number instead of -inf: a row without an allowed key must not become NaN in
    # the backward pass. The softmax makes such a row uniform, so it is set to zero afterwards.
    scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).masked_fill(~allowed, 0.0)


def _offset(queries: int, keys: int, device: torch.device | None) -> Tensor:
    """Return how many positions each key is before each query: int (queries, keys)."""
    key = torch.arange(keys, device=device)
    query = torch.arange(keys - queries, keys, device=device)
    return query[:, None] - key[None, :]
