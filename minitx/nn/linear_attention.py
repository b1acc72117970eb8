"""Linear attention with decay, a matrix product per chunk instead of a step per token.

    state     S_t = diag(exp g_t) S_{t-1} + k_t^T v_t      g <= 0
    output    y_t = q_t S_t = sum over s <= t of w_ts v_s
    weights   w_ts = sum over i of q_ti k_si exp(G_ti - G_si)      G = g_1 + ... + g_t

The exponential of -G_s alone overflows. No exponent here is above zero, because each is a sum of g.
Pairs are computed in groups, relative to a position r between s and t,

    exp(G_t - G_s) = exp(G_t - G_r) exp(G_r - G_s)      s <= r <= t.

Between chunks, r is the end of a chunk, and S_r holds all that precedes it. Inside a chunk, r is
the middle; the pairs in each half have the middle of the half, and so on.

Letters in shapes: B batch, H heads, T length, N chunks, L steps of a chunk, K features of a key, V
features of a value.

Source: Yang et al. 2024, "Gated linear attention Transformers with hardware-efficient training",
arXiv 2312.06635, section 4, where chunks are divided once.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from minitx.nn.chunks import decays, in_chunks

CHUNK = 64


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, state: Tensor | None = None, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """q, k (B, H or 1, T, K), v (B, H, T, V), g (B, H, T, K or 1) -> y (B, H, T, V), and the state.

    The state is (B, H, K, V), by default zero before the first step. If g has one feature, all
    features of a key decay alike.
    """
    length = q.size(-2)
    if length == 1 and state is not None:  # in generation, where chunks cost more than the step
        state = g.mT.exp() * state + k.mT @ v
        return q @ state, state
    q, k, v, g = (in_chunks(each, min(length, chunk)) for each in (q, k, v, g))  # (B, H, N, L, ...)
    since, until = g.cumsum(dim=-2).exp(), _later(g).exp()  # decay since the start, until the end
    whole = since[..., -1:, :].mT  # (B, H, N, K or 1, 1)
    y = decayed_products(q, k, g) @ v
    if g.size(-1) == 1:  # keys may be shared by the heads, so values carry the decay
        before, state = _carried(whole, k.mT @ (until * v), state)
        y = y + since * (q @ before)
    else:
        before, state = _carried(whole, (until * k).mT @ v, state)
        y = y + (since * q) @ before
    return y.flatten(2, 3)[:, :, :length], state  # (B, H, N, L, V) -> (B, H, T, V)


def products_per_token(length: int, q: tuple[int, int], v: tuple[int, int], rates: int) -> float:
    """Return the operations per token of the products of matrices in the chunks.

    q and v are the number of heads and the features of each, and g has `rates` features.
    """
    (key_heads, keys), (heads, values) = q, v
    size = min(length, CHUNK)
    pairs = size if rates == 1 else (size + 1) / 2  # halves leave out the pairs above the diagonal
    return 2 * key_heads * pairs * keys + 2 * heads * (size + 2 * keys) * values


def decayed_products(q: Tensor, k: Tensor, g: Tensor) -> Tensor:
    """Return the weights w_ts, which are zero for s > t, as (..., T, T).

    q and k are (..., T, K), and g is (..., T, K or 1).
    """
    length = q.size(-2)
    if g.size(-1) == 1:
        return q @ k.mT * decays(g[..., 0])
    short = (1 << (length - 1).bit_length()) - length  # halves need a power of two
    q, k, g = (F.pad(each, (0, 0, 0, short)) for each in (q, k, g))
    return _by_halves(q, k, g)[..., :length, :length]


def _later(g: Tensor) -> Tensor:
    """Return the sum of g over the steps that follow each step: (..., T, D) -> (..., T, D)."""
    return F.pad(g[..., 1:, :], (0, 0, 0, 1)).flip(-2).cumsum(dim=-2).flip(-2)


def _by_halves(q: Tensor, k: Tensor, g: Tensor) -> Tensor:
    """Return the weights of T = 2^n steps."""
    length = q.size(-2)
    if length == 1:
        return (q * k).sum(dim=-1, keepdim=True)
    half = length // 2
    q, k, g = (each.unflatten(-2, (2, half)) for each in (q, k, g))
    within = _by_halves(q, k, g)  # (..., 2, T / 2, T / 2)
    late = q[..., 1, :, :] * g[..., 1, :, :].cumsum(dim=-2).exp()
    early = k[..., 0, :, :] * _later(g[..., 0, :, :]).exp()
    above = F.pad(within[..., 0, :, :], (0, half))
    below = torch.cat([late @ early.mT, within[..., 1, :, :]], dim=-1)
    return torch.cat([above, below], dim=-2)


def _carried(decay: Tensor, added: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the states before each chunk (B, H, N, K, V), and the state after the last.

    decay (B, H, N, K or 1, 1) multiplies the state of the chunk before, and added (B, H, N, K, V)
    is added to it.
    """
    after = torch.zeros_like(added[:, :, 0]) if state is None else state
    before = []
    for each_decay, each_added in zip(decay.unbind(2), added.unbind(2), strict=True):
        before.append(after)
        after = each_decay * after + each_added
    return torch.stack(before, dim=2), after
