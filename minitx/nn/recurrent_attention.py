"""How a recurrent decoder attends to its source.

    scores               a = score(h, m), for every decoder state h and every source position m
    weights              w = softmax(a) over the real source positions
    context              c = w m
    attentional state    h~ = tanh(Wc [c; h])

There are two scores, additive and dot. Attention follows the recurrence (Luong et al. 2015, section
3.1 and equation 5), so all target positions attend at once. In Bahdanau et al. (2015), the context
enters the recurrence, so each step waits for the previous one. `input_feeding` of the decoder adds
that path.

Letters in shapes: B batch, Q decoder states, K source positions, C = dim. There is one head.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minitx.nn import masks
from minitx.nn.attention import AttentionRecord
from minitx.nn.cache import KeyValues
from minitx.nn.mixers import matrix_flops


class RecurrentAttention(nn.Module):
    """The part that both scores share: the weights, the context and the attentional state.

    `on_attention` is the capture switch, as in `MultiHeadAttention`. A function set there is called
    with an `AttentionRecord`, with H = 1 and D = C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.key = nn.Linear(dim, dim)
        self.combine = nn.Linear(2 * dim, dim)
        self.on_attention: Callable[[AttentionRecord], None] | None = None

    def reset_parameters(self) -> None:
        """Initialise every weight as `nn.Linear` does."""
        self.key.reset_parameters()
        self.combine.reset_parameters()

    def queries(self, x: Tensor) -> Tensor:
        """x (B, Q, C) -> (B, Q, C): the decoder states themselves."""
        return x

    def scores(self, q: Tensor, keys: Tensor) -> Tensor:
        """q (B, Q, C), keys (B, K, C) -> (B, Q, K)."""
        raise NotImplementedError

    def keys_and_values(self, encoded: Tensor, padding: Tensor | None = None) -> KeyValues:
        """Return the keys and values of a source: encoded (B, K, C), padding bool (B, K).

        They are computed once per source. The values are the outputs of the encoder.
        """
        return KeyValues(self.key(encoded)[:, None], encoded[:, None], padding)  # (B, 1, K, C)

    def forward(self, x: Tensor, source: KeyValues) -> Tensor:
        """Decoder states x (B, Q, C) -> attentional states (B, Q, C).

        If no source position is real, the context is a zero vector. If there are fewer sources than
        rows of x, consecutive rows of x share one source.
        """
        k, v, padding = source
        shared = x.reshape(k.size(0), -1, x.size(-1))  # rows that share become one row
        allowed = None if padding is None else masks.not_padding(padding)
        q = self.queries(shared)
        scores = self.scores(q, k[:, 0])[:, None]  # (B, 1, Q, K)
        weights = masks.masked_softmax(scores, allowed)
        context = weights @ v  # (B, 1, Q, C)
        if self.on_attention is not None:
            record = AttentionRecord(q[:, None], k, v, scores, allowed, weights, context)
            self.on_attention(record)
        return self.combine(torch.cat([context[:, 0].view_as(x), x], dim=-1)).tanh()

    def flops_per_token(self, length: int) -> float:
        """Return the floating-point operations per target token, for `length` source tokens."""
        return matrix_flops(self) + 4 * self.key.out_features * length

    def state_size(self, length: int) -> int:
        """Return the number of elements in the keys and values of `length` source tokens."""
        return 2 * self.key.out_features * length

    def initialise(self, residual_std: float | None) -> None:
        """Initialise every weight as torch does (see `minitx.nn.init`)."""
        self.reset_parameters()


class AdditiveAttention(RecurrentAttention):
    """score(h, m) = v . tanh(Wq h + Wk m)   (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.query = nn.Linear(dim, dim, bias=False)  # the key's bias serves both
        self.energy = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise every weight as `nn.Linear` does."""
        super().reset_parameters()
        self.query.reset_parameters()
        bound = 1 / math.sqrt(len(self.energy))
        nn.init.uniform_(self.energy, -bound, bound)

    def queries(self, x: Tensor) -> Tensor:
        """x (B, Q, C) -> (B, Q, C)."""
        return self.query(x)

    def scores(self, q: Tensor, keys: Tensor) -> Tensor:
        """q (B, Q, C), keys (B, K, C) -> (B, Q, K)."""
        hidden = q[:, :, None] + keys[:, None]  # (B, Q, K, C)
        return hidden.tanh() @ self.energy


class DotAttention(RecurrentAttention):
    """score(h, m) = h . Wk m / sqrt(C)   (Luong et al. 2015, equation 8, "general").

    The score is divided by sqrt(C), as in a Transformer.
    """

    def scores(self, q: Tensor, keys: Tensor) -> Tensor:
        """q (B, Q, C), keys (B, K, C) -> (B, Q, K)."""
        return q @ keys.mT / math.sqrt(q.size(-1))


ATTENTIONS: dict[str, type[RecurrentAttention]] = {
    "additive": AdditiveAttention,
    "dot": DotAttention,
}
