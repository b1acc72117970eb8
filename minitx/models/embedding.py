"""Token embeddings: the vectors that an encoder or a decoder reads."""

import math

from torch import Tensor, nn

from minitx.nn.positions import Sinusoidal


class TokenEmbedding(nn.Module):
    """tokens -> rows of the table [+ positions] -> dropout.

    `position(x, past)` is a `Sinusoidal`, a `Learned`, or None if positions act elsewhere. Because
    sinusoids have amplitude one, embeddings are multiplied by sqrt(dim) before a `Sinusoidal` is
    added (Vaswani et al. 2017, section 3.4).
    """

    def __init__(
        self, vocab_size: int, dim: int, position: nn.Module | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, dim)
        self.scale = math.sqrt(dim) if isinstance(position, Sinusoidal) else 1.0
        self.position = position
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, past: int = 0) -> Tensor:
        """tokens int64 (B, T), after `past` earlier tokens -> (B, T, C).

        Raises ValueError if there are more tokens than positions.
        """
        x = self.table(tokens) * self.scale
        return self.dropout(x if self.position is None else self.position(x, past))
