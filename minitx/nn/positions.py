"""Position encodings. Attention itself sees a set of tokens; these encode their order.

`Sinusoidal` and `Learned` are added to the embeddings once, before the first block. `Rotary` and
`ALiBi` act inside every attention: `Rotary` on queries and keys, `ALiBi` on the scores. `past` is
the number of positions already in the key/value cache.
"""

import math

import torch
from torch import Tensor, nn


class Sinusoidal(nn.Module):
    """Add sines and cosines of geometrically spaced wavelengths, from 2 pi to 10,000 * 2 pi.

    Source: Vaswani et al. 2017, section 3.5. Even features hold the sine, odd ones the cosine.
    """

    table: Tensor

    def __init__(self, dim: int, context: int) -> None:
        super().__init__()
        position = torch.arange(context, dtype=torch.float64)[:, None]
        even = torch.arange(0, dim, 2, dtype=torch.float64)
        angle = position / 10_000 ** (even / dim)  # (context, ceil(dim / 2))
        table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]
        self.register_buffer("table", table.float(), persistent=False)

    def forward(self, x: Tensor, past: int = 0) -> Tensor:
        """x (B, T, C) -> (B, T, C). Raises ValueError if x reaches beyond the context."""
        return x + _rows(self.table, past, x.size(1)).to(x.dtype)


class Learned(nn.Module):
    """Add a learned vector for each position (Gehring et al. 2017, section 3.1)."""

    def __init__(self, dim: int, context: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(context, dim).normal_(std=0.02))

    def forward(self, x: Tensor, past: int = 0) -> Tensor:
        """x (B, T, C) -> (B, T, C). Raises ValueError if x reaches beyond the context."""
        return x + _rows(self.table, past, x.size(1))


class Rotary(nn.Module):
    """Rotate pairs of features by an angle that grows with the position.

    The product of a rotated query and a rotated key depends on their distance only. Feature i is
    paired with feature i + D/2. Source: Su et al. 2021 (RoFormer), section 3.4.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, context: int, base: float = 10_000.0) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(
                f"rotary positions turn pairs of features, so the width of a head (dim / heads) "
                f"must be even; it is {head_dim}"
            )
        frequency = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
        angle = torch.arange(context, dtype=torch.float64)[:, None] * frequency  # (context, D/2)
        cos, sin = angle.cos().float()[:, None], angle.sin().float()[:, None]
        # y = x cos + partner sin, (context, 1, D). The first of a pair adds the negative second.
        self.register_buffer("cos", torch.cat([cos, cos], dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat([-sin, sin], dim=-1), persistent=False)

    def forward(self, x: Tensor, past: int = 0) -> Tensor:
        """Queries or keys x (B, H, T, D) -> (B, H, T, D).

        Raises ValueError if x reaches beyond the context.
        """
        cos = _rows(self.cos, past, x.size(-2)).to(x.dtype)  # (T, 1, D)
        sin = _rows(self.sin, past, x.size(-2)).to(x.dtype)
        x = x.transpose(1, 2)  # the order in memory: the heads of a position are adjacent
        partners = x.roll(x.size(-1) // 2, dims=-1)
        return torch.addcmul(x * cos, partners, sin).transpose(1, 2)


class ALiBi(nn.Module):
    """Lower each score in proportion to the distance, with a different slope in each head.

    If the number of heads n is a power of two, head h (from 1) has the slope 2^(-8h/n). Otherwise
    the missing slopes come from the next power of two. Source: Press et al. 2022, section 3.
    """

    slopes: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(_slopes(heads)), persistent=False)

    def forward(self, queries: int, keys: int) -> Tensor:
        """Return the biases (H, Q, K) to add to the scores. The queries are the last positions."""
        key = torch.arange(keys, device=self.slopes.device)
        query = torch.arange(keys - queries, keys, device=self.slopes.device)
        distance = (query[:, None] - key[None, :]).abs()
        return -self.slopes[:, None, None] * distance


def _slopes(heads: int) -> list[float]:
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (head + 1) / power) for head in range(power)]
    if power < heads:
        slopes += _slopes(2 * power)[::2][: heads - power]
    return slopes


def _rows(table: Tensor, past: int, length: int) -> Tensor:
    if past + length > len(table):
        raise ValueError(
            f"the input reaches position {past + length}, but the context is {len(table)}"
        )
    return table[past : past + length]
