"""A language model: embeddings, any causal backbone, and the logits of the next token."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from minitx.models.embedding import TokenEmbedding
from minitx.models.model import Model
from minitx.nn.positions import Learned


class LanguageModelState(NamedTuple):
    """The number of tokens read so far, and the state of the backbone."""

    past: int
    backbone: Any


class LanguageModel(Model):
    """tokens -> embeddings [+ positions] -> backbone -> logits over the vocabulary.

    `backbone(x, padding, state) -> (y, state)` is a causal `Stack` or a `RecurrentStack`. With
    `tied`, the embeddings are the output matrix, too (Press and Wolf 2017).
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        backbone: nn.Module,
        context: int,
        *,
        tied: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.context = context
        self.embedding = embedding
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        vocab_size, dim = embedding.table.weight.shape
        self.to_logits = nn.Linear(dim, vocab_size, bias=False)
        if tied:
            self.to_logits.weight = embedding.table.weight

    def forward(
        self,
        tokens: Tensor,
        padding: Tensor | None = None,
        state: LanguageModelState | None = None,
        *,
        logits: bool = True,
    ) -> tuple[Tensor, LanguageModelState]:
        """tokens int64 (B, T), padding bool (B, T) -> logits (B, T, vocab_size), and the state.

        The logits at position t are for the token at t + 1. With a state, the tokens continue the
        text that it has read. With `logits=False`, the result is the features (B, T, C), the input
        of `to_logits`.
        """
        past, backbone_state = (0, None) if state is None else state
        x = self.embedding(tokens, past)  # (B, T, C)
        x, backbone_state = self.backbone(x, padding, backbone_state)
        features = self.dropout(x)
        state = LanguageModelState(past + tokens.size(1), backbone_state)
        return self.to_logits(features) if logits else features, state

    @property
    def tables(self) -> tuple[nn.Embedding]:
        return (self.embedding.table,)

    @property
    def continued(self) -> nn.Module:
        return self.backbone

    def answer(self, tokens: Tensor) -> Callable[[], Tensor]:
        """Read all tokens (1, T) but the last; return a function that reads it and answers.

        The answer is the most likely next token.
        """
        state = self(tokens[:, :-1])[1] if tokens.size(1) > 1 else None
        return lambda: self(tokens[:, -1:], state=state)[0].argmax()


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Return the number of trainable parameters, and of those outside embeddings and logits.

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
