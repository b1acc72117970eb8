"""A sequence-to-sequence model: any encoder, any decoder, and the logits of the next token."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from minitx.models.decoders import Memory, RecurrentDecoder, TransformerDecoder
from minitx.models.embedding import TokenEmbedding
from minitx.models.model import Model


class Seq2SeqState(NamedTuple):
    """The number of target tokens read so far, and the state of the decoder."""

    past: int
    decoder: Any


class Seq2Seq(Model):
    """source -> embeddings -> encoder -> memory;  target so far + memory -> decoder -> logits.

    `encoder(x, padding) -> (encoded, state)` is a `Stack` or a `RecurrentStack`. With `tied`, the
    target embeddings are the output matrix, too (Press and Wolf 2017).
    """

    def __init__(
        self,
        source_embedding: TokenEmbedding,
        target_embedding: TokenEmbedding,
        encoder: nn.Module,
        decoder: TransformerDecoder | RecurrentDecoder,
        context: int,
        *,
        tied: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.context = context
        self.source_embedding, self.target_embedding = source_embedding, target_embedding
        self.encoder, self.decoder = encoder, decoder
        self.dropout = nn.Dropout(dropout)
        vocab_size, dim = target_embedding.table.weight.shape
        self.to_logits = nn.Linear(dim, vocab_size, bias=False)
        if tied:
            self.to_logits.weight = target_embedding.table.weight

    def encode(self, source: Tensor, padding: Tensor | None = None) -> Memory:
        """source int64 (B, S), padding bool (B, S), True = a real token -> the memory."""
        encoded, final = self.encoder(self.source_embedding(source), padding)
        return self.decoder.prepare_memory(encoded, padding, final)

    def decode(
        self, tokens: Tensor, memory: Memory, state: Seq2SeqState | None = None
    ) -> tuple[Tensor, Seq2SeqState]:
        """tokens int64 (B, T) -> logits (B, T, target vocabulary), and the state.

        The logits at position t are for the token at t + 1. With a state, the tokens continue the
        target that it has read.
        """
        features, state = self._features(tokens, memory, state)
        return self.to_logits(features), state

    def forward(
        self,
        source: Tensor,
        source_padding: Tensor | None,
        target_in: Tensor,
        *,
        logits: bool = True,
    ) -> Tensor:
        """source (B, S) and its padding, target_in int64 (B, T) -> logits (B, T, vocabulary).

        The target needs no padding mask, because no real token attends to the padding after it.
        With `logits=False`, the result is the features (B, T, C), the input of `to_logits`.
        """
        features, _ = self._features(target_in, self.encode(source, source_padding), None)
        return self.to_logits(features) if logits else features

    @property
    def tables(self) -> tuple[nn.Embedding, nn.Embedding]:
        return self.source_embedding.table, self.target_embedding.table

    @property
    def continued(self) -> nn.Module:
        return self.decoder

    def answer(self, source: Tensor, target: Tensor) -> Callable[[], Tensor]:
        """Read source (1, S) and target (1, T) but for its last token; return a function that
        reads that token and answers with the most likely next one.
        """
        memory = self.encode(source)
        state = self.decode(target[:, :-1], memory)[1] if target.size(1) > 1 else None
        return lambda: self.decode(target[:, -1:], memory, state)[0].argmax()

    def _features(
        self, tokens: Tensor, memory: Memory, state: Seq2SeqState | None
    ) -> tuple[Tensor, Seq2SeqState]:
        past, decoder_state = (0, None) if state is None else state
        x = self.target_embedding(tokens, past)
        y, decoder_state = self.decoder(x, memory, decoder_state)
        return self.dropout(y), Seq2SeqState(past + tokens.size(1), decoder_state)
