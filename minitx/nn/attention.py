"""Attention: every position takes a weighted mean of the values of all positions.

    queries, keys, values    q = x Wq, k = x Wk, v = x Wv
    scaled scores            s = q k^T / sqrt(D)
    weights                  w = softmax(s), over the keys that a query may attend to
    output                   w v, the heads concatenated, times Wo

Source: Vaswani et al. 2017, sections 3.2.1 and 3.2.2.

Letters in shapes: B batch, T length (Q queries and K keys if the lengths differ), H heads, G
key/value heads, D features of a head, C = dim. In a mask, True = may attend (see `masks`).
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from operator import and_
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn import masks
from minitx.nn.cache import KeyValues
from minitx.nn.mixers import Mixer, Shape, check_divides, check_state, matrix_flops, register
from minitx.nn.norms import RMSNorm
from minitx.nn.positions import ALiBi, Rotary


class AttentionRecord(NamedTuple):
    """Every step of one call of attention.

    q (B, H, Q, D); k, v (B, H, K, D); scores before the mask and weights before dropout
    (B, H, Q, K); outputs (B, H, Q, D). `allowed`, the mask, broadcasts to the scores, or is None.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    scores: Tensor
    allowed: Tensor | None
    weights: Tensor
    outputs: Tensor


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    allowed: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    scaled: bool = True,
) -> AttentionRecord:
    """Compute scaled dot-product attention step by step.

    q is (B, H, Q, D); k and v are (B, H, K, D); `allowed` (bool) and `bias` (float) broadcast to
    (B, H, Q, K). Returns every step. The rows of the weights sum to one over the allowed keys. A
    query that may attend to nothing gets a zero vector. With `scaled=False`, scores are the plain
    dot products, whose variance grows with D.
    Source: Vaswani et al. 2017, equation 1 and footnote 4.
    """
    scores = q @ k.mT  # (B, H, Q, K)
    if scaled:
        scores = scores / math.sqrt(q.size(-1))
    if bias is not None:
        scores = scores + bias
    weights = masks.masked_softmax(scores, allowed)
    outputs = F.dropout(weights, dropout) @ v
    return AttentionRecord(q, k, v, scores, allowed, weights, outputs)


def attend_fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    allowed: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    scaled: bool = True,
    causal: bool = False,
) -> Tensor:
    """Return the outputs (B, H, Q, D) of `attend` from torch's fused kernel, without the weights.

    `causal=True` replaces a causal mask if there are as many queries as keys. The kernel then skips
    the half above the diagonal. It cannot be combined with `allowed` or `bias`.
    """
    mask = allowed
    if bias is not None:
        mask = bias.to(q.dtype).expand(*q.shape[:-1], k.size(-2))
        if allowed is not None:
            mask = mask.masked_fill(~allowed, -math.inf)
    scale = None if scaled else 1.0  # None means 1 / sqrt(D)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale
    )


class MultiHeadAttention(nn.Module):
    """The part that self-attention and cross-attention share: projections, and several heads.

    If `kv_heads` < `heads`, groups of query heads share keys and values (Ainslie et al. 2023).
    `qk_norm` normalises the queries and keys of each head, which bounds the scores (Henry et al.
    2020; here with RMSNorm). `scaled=False` omits the division by sqrt(D).

    `on_attention` is the capture switch. If it is None, the fused kernel runs. If it is a function,
    the explicit path runs instead and calls it with an `AttentionRecord`.

    Raises ValueError if heads do not divide dim, or kv_heads do not divide heads.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: bool = False,
        scaled: bool = True,
    ) -> None:
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        check_divides("heads", heads, "dim", dim)
        check_divides("kv_heads", kv_heads, "heads", heads)
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        self.dropout, self.scaled = dropout, scaled
        self.query = nn.Linear(dim, dim, bias)
        self.key = nn.Linear(dim, kv_heads * self.head_dim, bias)
        self.value = nn.Linear(dim, kv_heads * self.head_dim, bias)
        self.output = nn.Linear(dim, dim, bias)
        self.query_norm = RMSNorm(self.head_dim) if qk_norm else nn.Identity()
        self.key_norm = RMSNorm(self.head_dim) if qk_norm else nn.Identity()
        self.on_attention: Callable[[AttentionRecord], None] | None = None

    def queries(self, x: Tensor) -> Tensor:
        """x (B, T, C) -> (B, H, T, D)."""
        q = self.query(x).unflatten(-1, (self.heads, -1))  # (B, T, H, D)
        return self.query_norm(q).transpose(1, 2)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C) -> keys and values, (B, G, T, D) each."""
        k, v = (part(x).unflatten(-1, (self.kv_heads, -1)) for part in (self.key, self.value))
        return self.key_norm(k).transpose(1, 2), v.transpose(1, 2)

    def attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        allowed: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """q (B, H, Q, D); k, v (B, G, K, D) -> the heads, concatenated and projected (B, Q, C)."""
        if self.kv_heads < self.heads:
            group = self.heads // self.kv_heads
            k, v = (each.repeat_interleave(group, dim=1) for each in (k, v))  # (B, H, K, D)
        dropout = self.dropout if self.training else 0.0
        if self.on_attention is None:
            y = attend_fused(q, k, v, allowed, bias, dropout, self.scaled, causal)
        else:
            if causal:
                allowed = masks.causal(q.size(-2), k.size(-2), q.device)
            record = attend(q, k, v, allowed, bias, dropout, self.scaled)
            self.on_attention(record)
            y = record.outputs
        return self.output(y.transpose(1, 2).flatten(-2))  # (B, H, Q, D) -> (B, Q, H * D)

    def flops_per_token(self, length: int) -> float:
        """Return the floating-point operations per query, for `length` queries and keys."""
        return matrix_flops(self) + 4 * self.heads * self.head_dim * self._mean_keys(length)

    def _mean_keys(self, length: int) -> float:
        """Return how many of `length` keys a query may attend to, on average over the queries."""
        return length

    def state_size(self, length: int) -> int:
        """Return the number of elements in the keys and values of `length` positions."""
        return 2 * self.kv_heads * self.head_dim * length

    def initialise(self, residual_std: float | None) -> None:
        """Set the output matrix, which writes into the residual stream."""
        if residual_std is not None:
            self.output.weight.normal_(std=residual_std)


class SelfAttention(MultiHeadAttention, Mixer):
    """A mixer in which the positions of one sequence attend to each other.

    `causal` hides later positions. `window` hides positions that are `window` or more away.
    `position` is a `Rotary`, an `ALiBi`, or None if no position acts in attention.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        *,
        causal: bool = False,
        window: int | None = None,
        position: Rotary | ALiBi | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: bool = False,
        scaled: bool = True,
    ) -> None:
        super().__init__(
            dim, heads, kv_heads, bias=bias, dropout=dropout, qk_norm=qk_norm, scaled=scaled
        )
        if window is not None and window < 1:
            raise ValueError(f"window={window}: a query sees at least itself, so window >= 1")
        self.causal, self.window, self.position = causal, window, position

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: KeyValues | None = None
    ) -> tuple[Tensor, KeyValues]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        With a state, x continues the sequence that the state has read. Raises ValueError for a
        state if attention is not causal: the earlier positions have not seen x.
        """
        check_state(state, self.causal)
        past = 0 if state is None else state.keys.size(-2)
        q = self.queries(x)
        k, v = self.keys_and_values(x)
        if isinstance(self.position, Rotary):
            q, k = self.position(q, past), self.position(k, past)
        state = KeyValues(k, v, padding) if state is None else state.extended(k, v, padding)
        k, v, padding = state
        # The kernel makes a plain causal mask itself. A single newest query needs no mask.
        only_causal = self.causal and self.window is None and padding is None
        kernel_masks = only_causal and past == 0 and not isinstance(self.position, ALiBi)
        unmasked = kernel_masks or (only_causal and x.size(1) == 1)
        allowed = None if unmasked else self._allowed(q.size(-2), k.size(-2), padding, x.device)
        bias = self.position(q.size(-2), k.size(-2)) if isinstance(self.position, ALiBi) else None
        return self.attention(q, k, v, allowed, bias, causal=kernel_masks), state

    def _allowed(
        self, queries: int, keys: int, padding: Tensor | None, device: torch.device
    ) -> Tensor | None:
        """Return the masks combined: bool, broadcasts to (B, H, Q, K); None without any mask."""
        applying = []
        if self.causal:
            applying.append(masks.causal(queries, keys, device))
        if self.window is not None:
            applying.append(masks.sliding_window(queries, keys, self.window, device))
        if padding is not None:
            applying.append(masks.not_padding(padding))
        return reduce(and_, applying) if applying else None

    def _mean_keys(self, length: int) -> float:
        reach = self.window or length
        before = sum(min(position, reach - 1) for position in range(length)) / length
        return 1 + before if self.causal else 1 + 2 * before  # as many keys after as before


class CrossAttention(MultiHeadAttention):
    """Attention from one sequence to another: a decoder reads the memory, its encoded source.

    Source: Vaswani et al. 2017, section 3.2.3 ("encoder-decoder attention").
    """

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        memory_padding: Tensor | None = None,
        state: KeyValues | None = None,
    ) -> tuple[Tensor, KeyValues]:
        """x (B, Q, C), memory (B, K, C), memory_padding bool (B, K) -> (B, Q, C), and the state.

        The state holds the keys and values of the memory, which are computed once per source. If
        the state has fewer rows than x, consecutive rows of x share one row of the state.
        """
        if state is None:
            state = KeyValues(*self.keys_and_values(memory), memory_padding)
        allowed = None if state.padding is None else masks.not_padding(state.padding)
        shared = x.reshape(state.keys.size(0), -1, x.size(-1))  # rows that share become one row
        y = self.attention(self.queries(shared), state.keys, state.values, allowed)
        return y.view_as(x), state


def _build(shape: Shape, *, heads: int, **options: Any) -> Callable[[], SelfAttention]:
    """Return a function that makes the self-attention of one layer; layers share positions."""
    check_divides("heads", heads, "dim", shape.dim)  # positions need the width of a head
    position: Rotary | ALiBi | None = None
    if shape.position == "rotary":
        position = Rotary(shape.dim // heads, shape.context, shape.rotary_base)
    elif shape.position == "alibi":
        position = ALiBi(heads)
    options |= {"causal": shape.causal, "position": position, "bias": shape.bias}
    return partial(SelfAttention, shape.dim, heads, **options)


register("attention", _build)
