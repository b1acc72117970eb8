"""Gated linear attention: attention without a softmax, whose past fades feature by feature.

    queries, keys, values    q = x Wq, k = x Wk, v = x Wv
    decay                    a = sigmoid(x W1 W2 + b)^(1/16)
    state                    S_t = diag(a_t) S_{t-1} + k_t^T v_t
    output                   y_t = q_t S_t
    result                   (norm(y) * swish(x Wr + br)) Wo, the heads concatenated

A fixed decay for each head instead, a = 1 - 2^(-5-h), is that of RetNet. The norm acts on each
head and undoes any scale, so nothing divides by sqrt(K).

Sources: Yang et al. 2024 (GLA), arXiv 2312.06635, section 4.4, with the RMSNorm of their code; Sun
et al. 2023 (RetNet), arXiv 2307.08621, section 2.

Letters in shapes: B batch, T length, H heads, K features of a key, V features of a value, C = dim.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn.chunkwise import decayed_products, linear_attention, products_per_token
from minitx.nn.directions import in_directions
from minitx.nn.mixers import Mixer, Shape, check_divides, matrix_flops, register
from minitx.nn.norms import RMSNorm

RANK = 16  # of the decay's map
ROOT = 16  # of the sigmoid: without it, the past is gone after a few steps


class GatedLinearAttention(Mixer):
    """Causal linear attention in `heads` heads with a state of key_dim * value_dim numbers each.

    With `gated`, each feature of a key has its own decay, which depends on the token. Without, each
    head has a fixed one.
    """

    def __init__(
        self, dim: int, heads: int, key_dim: int, value_dim: int, *, gated: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.key_dim, self.value_dim, self.gated = heads, key_dim, value_dim, gated
        keys, values = heads * key_dim, heads * value_dim
        self.query, self.key = nn.Linear(dim, keys, bias=False), nn.Linear(dim, keys, bias=False)
        self.value = nn.Linear(dim, values, bias=False)
        if gated:
            self.decay = nn.Sequential(nn.Linear(dim, RANK, bias=False), nn.Linear(RANK, keys))
        self.gate = nn.Linear(dim, values)
        self.norm = RMSNorm(value_dim, eps=1e-5)
        self.output = nn.Linear(values, dim, bias=False)

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is S (B, H, K, V) at the last real token.
        """
        y, state = linear_attention(*self._terms(x, padding), state)
        y = self.norm(y.transpose(1, 2)).flatten(-2)  # (B, T, H * V)
        return self.output(y * F.silu(self.gate(x))), state

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values (B, H, T, V), whose product is y."""
        q, k, v, g = self._terms(x, padding)
        return decayed_products(q, k, g), v

    def _terms(self, x: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return q, k (B, H, T, K), v (B, H, T, V) and log a (B, H, T, K or 1)."""
        q, k, v = self._heads(self.query(x)), self._heads(self.key(x)), self._heads(self.value(x))
        if self.gated:
            g = self._heads(F.logsigmoid(self.decay(x)) / ROOT)
        else:
            g = self._fixed(x).expand(len(x), -1, x.size(1), -1)
        if padding is not None:  # padding leaves the state as it is
            real = padding[:, None, :, None]
            k, g = k.where(real, 0.0), g.where(real, 0.0)
        return q, k, v, g

    def _heads(self, x: Tensor) -> Tensor:
        """x (B, T, H * D) -> (B, H, T, D)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _fixed(self, x: Tensor) -> Tensor:
        """Return RetNet's log a (H, 1, 1)."""
        head = torch.arange(self.heads, device=x.device, dtype=x.dtype)
        return torch.log1p(-torch.exp2(-5 - head))[:, None, None]

    def flops_per_token(self, length: int) -> float:
        """Return the operations per token of the matrices, and of the products of the chunks."""
        decays = self.key_dim if self.gated else 1
        products = products_per_token(length, self.key_dim, self.value_dim, decays)
        return matrix_flops(self) + self.heads * products

    def state_size(self, length: int) -> int:
        """Return how many numbers the state is, whatever the length."""
        return self.heads * self.key_dim * self.value_dim

    def initialise(self, residual_std: float | None) -> None:
        """Set the output matrix, which writes into the residual stream.

        The biases start at zero (see `minitx.nn.init`), so decays start near 0.5^(1/16) = 0.96.
        """
        if residual_std is not None:
            self.output.weight.normal_(std=residual_std)


def _build(shape: Shape, *, heads: int, state_dim: int | None, decay: str) -> Callable[[], Mixer]:
    """Return a function that makes a layer. By default, keys have half the width of values."""
    check_divides("heads", heads, "dim", shape.dim)
    value_dim = shape.dim // heads
    key_dim = state_dim or max(1, value_dim // 2)
    make = partial(GatedLinearAttention, shape.dim, gated=decay == "gated")
    return in_directions(lambda count: make(count, key_dim, value_dim), heads, shape.causal)


register("gated_linear", _build)
