"""A classifier: embeddings, any encoder, pooling over positions, and the logits of labels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minitx.models.embedding import TokenEmbedding
from minitx.models.model import Model


def mean(x: Tensor, padding: Tensor | None) -> Tensor:
    """Return the mean over real tokens: x (B, T, C), padding bool (B, T) -> (B, C).

    Without a real token, the mean is zero.
    """
    real = torch.ones_like(x[..., :1]) if padding is None else padding[..., None].to(x.dtype)
    return (x * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


def first(x: Tensor, padding: Tensor | None) -> Tensor:
    """Return the first output, as in BERT (Devlin et al. 2019): x (B, T, C) -> (B, C)."""
    return x[:, 0]


POOLINGS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {"mean": mean, "first": first}


class Classifier(Model):
    """tokens -> embeddings -> encoder -> pooling -> dropout -> logits.

    `encoder(x, padding) -> (encoded, state)` is a `Stack` or a `RecurrentStack`.
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        encoder: nn.Module,
        labels: int,
        *,
        pooling: str = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.pooling = POOLINGS[pooling]
        self.dropout = nn.Dropout(dropout)
        self.to_labels = nn.Linear(embedding.table.embedding_dim, labels)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """tokens int64 (B, T), padding bool (B, T), True = a real token -> logits (B, labels)."""
        encoded, _ = self.encoder(self.embedding(tokens), padding)
        return self.to_labels(self.dropout(self.pooling(encoded, padding)))

    @property
    def tables(self) -> tuple[nn.Embedding]:
        return (self.embedding.table,)

    def answer(self, tokens: Tensor) -> Callable[[], Tensor]:
        """Return a function that answers with the most likely label of tokens (1, T)."""
        return lambda: self(tokens).argmax()
