"""What all models have in common."""

from collections.abc import Callable

from torch import Tensor, nn


class Model(nn.Module):
    """A whole model: it reads tokens and answers with tokens or with a label.

    `answer(*tokens)` reads all tokens but the last and returns a function that computes one answer,
    as a scalar. There is an argument for each table.
    """

    answer: Callable[..., Callable[[], Tensor]]

    @property
    def tables(self) -> tuple[nn.Embedding, ...]:
        """The embeddings of what the model reads, those of a source first."""
        raise NotImplementedError

    @property
    def continued(self) -> nn.Module | None:
        """The part whose states continue a sequence; None if the model continues nothing."""
        return None
