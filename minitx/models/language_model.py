"""A language model: embeddings, any backbone that sees no future, and logits of what follows."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from minitx.nn.positions import Learned


class LanguageModelState(NamedTuple):
    """How many tokens were read, and what the backbone kept of them."""

    past: int
    backbone: Any


class LanguageModel(nn.Module):
    """tokens -> embeddings [+ positions] -> backbone -> logits over the vocabulary.

    `backbone(x, padding, state) -> (y, state)` is a causal `Stack` or a `RecurrentStack`;
    `position(x, past)` is a `Sinusoidal` or a `Learned`, or None where positions act elsewhere.
    Tied embeddings: Press and Wolf 2017.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        context: int,
        backbone: nn.Module,
        *,
        position: nn.Module | None = None,
        tied: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocab_size, dim)
        self.position = position
        self.dropout = nn.Dropout(dropout)
        self.backbone = backbone
        self.to_logits = nn.Linear(dim, vocab_size, bias=False)
        if tied:
            self.to_logits.weight = self.embedding.weight

    def forward(
        self,
        tokens: Tensor,
        padding: Tensor | None = None,
        state: LanguageModelState | None = None,
    ) -> tuple[Tensor, LanguageModelState]:
        """tokens int64 (B, T), padding bool (B, T) -> logits (B, T, vocab_size), and the state.

        The logits at position t are for the token at t + 1. With a state, the tokens continue the
        text that it has read.
        """
        past, backbone_state = (0, None) if state is None else state
        x = self.embedding(tokens)  # (B, T, C)
        if self.position is not None:
            x = self.position(x, past)
        x, backbone_state = self.backbone(self.dropout(x), padding, backbone_state)
        logits = self.to_logits(self.dropout(x))
        return logits, LanguageModelState(past + tokens.size(1), backbone_state)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable numbers in the model: all of them, and those outside embeddings and logits.

    Learned positions count as embeddings.
    """
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lookup = [
        part
        for name, part in model.named_modules()
        if name == "to_logits" or isinstance(part, nn.Embedding | Learned)
    ]
    tables = {id(p): p.numel() for m in lookup for p in m.parameters() if p.requires_grad}
    return total, total - sum(tables.values())
