"""Mamba2: a state space model whose step, input and output depend on the token.

    inputs      x = f(u Wx), B = f(u Wb), C = f(u Wc)      f = SiLU of a short convolution
    time step   d = softplus(u Wd + b)                     one number per head, like A < 0 and D
    state       h_t = exp(A d_t) h_{t-1} + d_t B_t^T x_t
    output      y_t = C_t h_t + D x_t
    result      norm(y * silu(u Wz)) Wo, the heads concatenated

It is linear attention with decay, with queries C, keys B and values d x. The heads share queries
and keys. u is the input of the mixer.

Source: Dao and Gu 2024, "Transformers are SSMs", arXiv 2405.21060, sections 6 and 7.

Letters in shapes: B batch, T length, H heads, K = state_dim, V features of a head of x, C = dim, G
directions, each with keys of its own.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn.chunks import half_backwards, half_backwards_map, in_reading_order, init_time_steps
from minitx.nn.linear_attention import decayed_products, linear_attention, products_per_token
from minitx.nn.mixers import (
    Mixer,
    check_heads,
    check_map_fits,
    check_state,
    matrix_flops,
    register_class,
)
from minitx.nn.norms import RMSNorm
from minitx.nn.short_convolution import ShortConvolution

STATE_DIM, NORM_EPS = 64, 1e-5


class Terms(NamedTuple):
    """What the recurrence reads: C, B (B, H or 1, T, K), x (B, H, T, V), d and A d (B, H, T, 1)."""

    queries: Tensor
    keys: Tensor
    x: Tensor
    step: Tensor
    log_decay: Tensor


class SSMState(NamedTuple):
    """h of every head (B, H, K, V), and the inputs that the convolution still reads."""

    h: Tensor
    inputs: Tensor


class Mamba2(Mixer):
    """A mixer of `heads` heads, whose keys have `state_dim` features, by default 64.

    The heads of x together have `expansion` * dim features. With `causal=False`, half of the heads
    read backwards, with keys and queries of their own. Raises ValueError if heads do not fit.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        expansion: int = 1,
        state_dim: int | None = None,
        convolution: int = 4,
        *,
        causal: bool = True,
    ) -> None:
        super().__init__()
        check_heads(heads, dim, causal)
        self.heads, self.causal, width = heads, causal, expansion * dim
        self.value_dim, self.key_dim = width // heads, state_dim or STATE_DIM
        self.directions = 1 if causal else 2
        self.widths = width // self.directions, self.key_dim, self.key_dim  # of x, B and C
        inputs = self.directions * sum(self.widths)
        self.to_inputs = nn.Linear(dim, inputs, bias=False)
        self.convolution = ShortConvolution(inputs, convolution)
        self.to_step = nn.Linear(dim, heads, bias=False)
        self.step_bias = nn.Parameter(torch.zeros(heads))
        self.log_rate = nn.Parameter(torch.zeros(heads))  # log -A
        self.skip = nn.Parameter(torch.ones(heads))  # D
        self.gate = nn.Linear(dim, width, bias=False)
        self.norm = RMSNorm(width, eps=NORM_EPS)
        self.output = nn.Linear(width, dim, bias=False)

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: SSMState | None = None
    ) -> tuple[Tensor, SSMState]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is that at the last real token. Raises ValueError as `check_state`.
        """
        check_state(state, self.causal)
        h, inputs = (None, None) if state is None else state
        terms, inputs = self._terms(x, padding, inputs)
        y, h = linear_attention(terms.queries, terms.keys, terms.step * terms.x, terms.log_decay, h)
        y = y + self.skip[:, None, None] * terms.x
        if not self.causal:
            y = half_backwards(y, 1, (2,))
        y = y.transpose(1, 2).flatten(2)  # (B, T, H * V)
        if padding is not None:
            y = y.where(padding[..., None], 0.0)
        return self.output(self.norm(y * F.silu(self.gate(x)))), SSMState(h, inputs)

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values x (B, H, T, V): see `Mixer.implicit_map`.

        D is on the diagonal.
        """
        check_map_fits(len(x), self.heads, x.size(1))
        terms, _ = self._terms(x, padding)
        weights = decayed_products(terms.queries, terms.keys, terms.log_decay) * terms.step.mT
        weights = weights + self.skip[:, None, None] * torch.eye(x.size(1)).to(x)
        found = weights, terms.x
        weights, values = found if self.causal else half_backwards_map(*found)
        if padding is not None:
            weights = weights.where(padding[:, None, None], 0.0)
        return weights, values

    def _terms(
        self, u: Tensor, padding: Tensor | None, inputs: Tensor | None = None
    ) -> tuple[Terms, Tensor]:
        """Return the terms of each head, in the order in which it reads, and the inputs to keep."""
        step = F.softplus(self.to_step(u) + self.step_bias)  # (B, T, H)
        read = self.to_inputs(u)
        read, step = in_reading_order((read, step), padding, self.causal)
        read, inputs = self.convolution(read, padding if self.causal else None, inputs)
        read = F.silu(read).unflatten(-1, (self.directions, -1)).transpose(1, 2)  # (B, G, T, ...)
        x, keys, queries = read.split(self.widths, dim=-1)
        x = x.unflatten(-1, (-1, self.value_dim)).transpose(2, 3).flatten(1, 2)  # (B, H, T, V)
        if not self.causal:
            half = self.heads // 2
            keys, queries = (part.repeat_interleave(half, dim=1) for part in (keys, queries))
        step = step.mT[..., None]  # (B, H, T, 1)
        return Terms(queries, keys, x, step, -self.log_rate.exp()[:, None, None] * step), inputs

    def flops_per_token(self, length: int) -> float:
        """Return the operations per token of the matrices, and of the products of the chunks."""
        keys = 1 if self.causal else self.heads, self.key_dim
        values = self.heads, self.value_dim
        return matrix_flops(self) + products_per_token(length, keys, values, rates=1)

    def state_size(self, length: int) -> int:
        """Return the number of elements in h and the kept inputs, whatever the length."""
        inputs = (self.convolution.size - 1) * self.to_inputs.out_features
        return self.heads * self.key_dim * self.value_dim + inputs

    def initialise(self, residual_std: float | None) -> None:
        """Set the rates and time steps as in the paper, and the output matrix."""
        init_time_steps(self.log_rate, self.step_bias, rates=(1.0, 16.0))
        super().initialise(residual_std)


register_class("mamba2", Mamba2)
