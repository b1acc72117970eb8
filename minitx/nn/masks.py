"""Which query may attend to which key.

One polarity everywhere: a mask is boolean and **True means "may attend"**, as in torch's
`scaled_dot_product_attention` (and opposite to `nn.MultiheadAttention`). Masks broadcast to
(batch, heads, queries, keys) and are combined with `&`.

When there are fewer queries than keys, the queries are the *last* positions of the sequence: that
is how decoding with a key/value cache asks, one new query against all the keys so far.
"""

import torch
from torch import Tensor


def causal(queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """No query sees a later key: bool (queries, keys), True = may attend.

    Source: Vaswani et al. 2017, section 3.2.3 ("masking out" illegal connections).
    """
    return _offset(queries, keys, device) >= 0


def sliding_window(
    queries: int, keys: int, window: int, device: torch.device | None = None
) -> Tensor:
    """A query sees keys less than `window` positions away: bool (queries, keys).

    With `causal` as well this leaves the query itself and the `window - 1` keys before it.
    Source: Beltagy et al. 2020 (Longformer), section 3.1.
    """
    return _offset(queries, keys, device).abs() < window


def not_padding(padding: Tensor) -> Tensor:
    """Nobody attends to padding: bool (batch, keys), True = a real token -> (batch, 1, 1, keys)."""
    return padding[:, None, None, :]


def _offset(queries: int, keys: int, device: torch.device | None) -> Tensor:
    """How many positions the key lies before the query: int (queries, keys)."""
    key = torch.arange(keys, device=device)
    query = torch.arange(keys - queries, keys, device=device)
    return query[:, None] - key[None, :]
