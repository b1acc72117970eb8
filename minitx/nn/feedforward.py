"""The feed-forward network: the part of a block that acts on each position alone."""

from torch import Tensor, nn

from minitx.nn.activations import ACTIVATIONS


class FeedForward(nn.Module):
    """A network of two linear maps: down(activation(up(x))), position by position.

    `gated` multiplies the activation by a second linear map of x: down(activation(gate(x)) * up(x))
    (Shazeer 2020; with silu this is SwiGLU). Source: Vaswani et al. 2017, section 3.3.
    """

    def __init__(
        self,
        dim: int,
        ff_dim: int,
        activation: str = "relu",
        *,
        gated: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.up = nn.Linear(dim, ff_dim, bias)
        self.gate = nn.Linear(dim, ff_dim, bias) if gated else None
        self.down = nn.Linear(ff_dim, dim, bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) -> (B, T, C)."""
        hidden = self.up(x)  # (B, T, F)
        if self.gate is None:
            hidden = self.activation(hidden)
        else:
            hidden = self.activation(self.gate(x)) * hidden
        return self.down(hidden)

    def initialise(self, residual_std: float | None) -> None:
        """Set the matrix that writes into the residual stream (see `minitx.nn.init`)."""
        if residual_std is not None:
            self.down.weight.normal_(std=residual_std)
