"""Gated linear attention: attention without a softmax, whose past fades feature by feature.

    queries, keys, values    q = f(x Wq), k = f(x Wk), v = f(x Wv)
    decay                    a = sigmoid(x W1 W2 + b)^(1/16)
    state                    S_t = diag(a_t) S_{t-1} + k_t^T v_t
    output                   y_t = q_t S_t
    result                   (norm(y) * swish(x Wr + br)) Wo, the heads concatenated

f is the SiLU of a short convolution, which the code of the authors offers. With `convolution=1`, as
in the paper, q, k and v are plain products; decays near one then hardly tell the last token from
the one before.

A fixed decay for each head instead, a = 1 - 2^(-5-h), is that of RetNet. The norm acts on each
head and undoes any scale, so nothing divides by sqrt(K).

Sources: Yang et al. 2024 (GLA), arXiv 2312.06635, section 4.4, with the RMSNorm of their code; Sun
et al. 2023 (RetNet), arXiv 2307.08621, section 2.

Letters in shapes: B batch, T length, H heads, K features of a key, V features of a value, C = dim.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn.chunks import half_backwards, half_backwards_map, in_reading_order
from minitx.nn.linear_attention import decayed_products, linear_attention, products_per_token
from minitx.nn.mixers import (
    Mixer,
    check_heads,
    check_map_fits,
    check_state,
    matrix_flops,
    register_class,
)
from minitx.nn.norms import RMSNorm
from minitx.nn.short_convolution import ShortConvolution

RANK = 16  # of the decay's map
NORM_EPS = 1e-5
ROOT = 16  # of the sigmoid: without it, the past is gone after a few steps


class LinearState(NamedTuple):
    """S of every head (B, H, K, V), and the inputs that the convolution still reads, if any."""

    values: Tensor
    inputs: Tensor | None


class GatedLinearAttention(Mixer):
    """A mixer of `heads` heads, whose keys have `state_dim` features, by default half of a value's.

    `decay` is "gated" if each feature of a key has a decay that depends on the token, and "fixed"
    if each head has the same decay for all. Gated decays start near 0.5^(1/16) = 0.96, because
    biases start at zero. A `convolution` of 1 is left out. With `causal=False`, half of the heads
    read backwards. Raises ValueError if heads do not fit.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        state_dim: int | None = None,
        decay: str = "gated",
        convolution: int = 4,
        *,
        causal: bool = True,
    ) -> None:
        super().__init__()
        check_heads(heads, dim, causal)
        self.heads, self.causal, self.value_dim = heads, causal, dim // heads
        self.key_dim = state_dim or max(1, self.value_dim // 2)
        keys = heads * self.key_dim
        self.widths = self.key_dim, self.key_dim, self.value_dim  # of q, k and v of a head
        self.query, self.key = nn.Linear(dim, keys, bias=False), nn.Linear(dim, keys, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        inputs = heads * sum(self.widths)
        self.convolution = (
            ShortConvolution(inputs, convolution, bias=False) if convolution > 1 else None
        )
        self.decay = (
            nn.Sequential(nn.Linear(dim, RANK, bias=False), nn.Linear(RANK, keys))
            if decay == "gated"
            else None
        )
        self.gate = nn.Linear(dim, dim)
        self.norm = RMSNorm(self.value_dim, eps=NORM_EPS)
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: LinearState | None = None
    ) -> tuple[Tensor, LinearState]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is that at the last real token. Raises ValueError as `check_state`.
        """
        check_state(state, self.causal)
        values, inputs = (None, None) if state is None else state
        (q, k, v, g), inputs = self._terms(x, padding, inputs)
        y, values = linear_attention(q, k, v, g, values)
        if not self.causal:
            y = half_backwards(y, 1, (2,))
        y = self.norm(y).transpose(1, 2).flatten(2)  # (B, T, H * V)
        if padding is not None:
            y = y.where(padding[..., None], 0.0)
        return self.output(y * F.silu(self.gate(x))), LinearState(values, inputs)

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values (B, H, T, V): see `Mixer.implicit_map`."""
        check_map_fits(len(x), self.heads, x.size(1))
        (q, k, v, g), _ = self._terms(x, padding)
        found = decayed_products(q, k, g), v
        weights, values = found if self.causal else half_backwards_map(*found)
        if padding is not None:
            weights = weights.where(padding[:, None, None], 0.0)
        return weights, values

    def _terms(
        self, x: Tensor, padding: Tensor | None, inputs: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return q, k (B, H, T, K), v (B, H, T, V) and log a (B, H, T, K or 1), and the inputs.

        They are in the order in which heads read.
        """
        maps = self.query, self.key, self.value
        parts = [each(x).unflatten(-1, (self.heads, -1)) for each in maps]
        qkv = torch.cat(parts, dim=-1).flatten(2)  # (B, T, H * (K + K + V))
        if self.decay is None:
            g = self._fixed(x).expand(*x.shape[:2], -1)
        else:
            g = F.logsigmoid(self.decay(x)) / ROOT  # (B, T, H * K)
        qkv, g = in_reading_order((qkv, g), padding, self.causal)
        if self.convolution is not None:
            qkv, inputs = self.convolution(qkv, padding if self.causal else None, inputs)
            qkv = F.silu(qkv)
        q, k, v = self._by_head(qkv).split(self.widths, dim=-1)
        return (q, k, v, self._by_head(g)), inputs

    def _by_head(self, x: Tensor) -> Tensor:
        """x (B, T, H * D) -> (B, H, T, D)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _fixed(self, like: Tensor) -> Tensor:
        """Return RetNet's log a (H,)."""
        head = torch.arange(self.heads, device=like.device, dtype=like.dtype)
        return torch.log1p(-torch.exp2(-5 - head))

    def flops_per_token(self, length: int) -> float:
        """Return the operations per token of the matrices, and of the products of the chunks."""
        keys, values = (self.heads, self.key_dim), (self.heads, self.value_dim)
        rates = 1 if self.decay is None else self.key_dim
        return matrix_flops(self) + products_per_token(length, keys, values, rates)

    def state_size(self, length: int) -> int:
        """Return the number of elements in S and the kept inputs, whatever the length."""
        kept = 0 if self.convolution is None else self.convolution.size - 1
        return self.heads * (self.key_dim * self.value_dim + kept * sum(self.widths))


register_class("gated_linear", GatedLinearAttention)
