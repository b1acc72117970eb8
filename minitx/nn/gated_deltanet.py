"""Gated DeltaNet: a memory of values under keys, which fades, and which corrects what it holds.

    queries, keys, values   q = f(x Wq), k = f(x Wk), v = f(x Wv)    f = SiLU of a short convolution
                            q and k of every head are divided by their norm
    decay, strength         a = exp(-A softplus(x Wa + b))           A > 0, b: one number per head
                            beta = sigmoid(x Wb)
    correction              u_t = beta_t (v_t - a_t S_{t-1}^T k_t)   S^T k is the value under k
    memory                  S_t = a_t S_{t-1} + k_t u_t^T
    outputs                 o_t = S_t^T q_t,  y = (norm(o) * silu(x Wg)) Wo

Together, S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T. In the direction of k_t, the
bracket multiplies by 1 - beta_t. With `negative_eigenvalues`, beta = 2 sigmoid(x Wb): a step can
then change the sign of what is under a key, which tasks like parity need.

Sources: Yang et al. 2025, "Gated Delta Networks", arXiv 2412.06464, equation 10, sections 3.3 and
3.4; Grazzi et al. 2025, arXiv 2411.12537, for negative eigenvalues.

Letters in shapes: B batch, T length, H heads, K of a key, V of a value, N chunks of L, C = dim.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn.chunks import (
    at_least_single,
    decays,
    half_backwards,
    half_backwards_map,
    in_chunks,
    in_reading_order,
    init_time_steps,
)
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

CHUNK, NORM_EPS = 32, 1e-5  # chunks of 32 are fastest on a CPU, with 32 features per head


class Steps(NamedTuple):
    """What the rule reads: q, k (B, H, T, K), v (B, H, T, V), log a and beta (B, H, T)."""

    q: Tensor
    k: Tensor
    v: Tensor
    log_a: Tensor
    beta: Tensor


class DeltaNetState(NamedTuple):
    """The state: S of every head (B, H, K, V), and the inputs that the convolution still reads."""

    values: Tensor
    inputs: Tensor


def gated_delta_rule(
    steps: Steps, memory: Tensor | None = None, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Return the outputs o (B, H, T, V), and the memory after the last step (B, H, K, V).

    In a chunk that begins with the memory S, g_t = a_1 ... a_t. The corrections U (L, V) solve

        (I + M) U = diag(beta) (V - diag(g) K S),    M_ts = beta_t (g_t / g_s) k_t^T k_s for s < t.

    All chunks are solved together, for U = U' - W S. Only S runs from chunk to chunk:

        S <- g_L S + sum over s of (g_L / g_s) k_s u_s^T
        o_t = g_t S^T q_t + sum over s <= t of (g_t / g_s) (q_t^T k_s) u_s
    """
    q, k, v, log_a, beta = steps
    length = q.size(2)
    if memory is None:
        memory = q.new_zeros(*q.shape[:2], k.size(-1), v.size(-1))
    elif length == 1:  # in generation, where chunks cost more than the step
        memory = log_a.exp()[..., None] * memory
        memory = memory + k.mT @ (beta[..., None] * (v - k @ memory))
        return q @ memory, memory
    q, k, v, log_a, beta = (in_chunks(part, min(chunk, length)) for part in steps)
    decay, g = decays(log_a), log_a.cumsum(dim=3).exp()[..., None]  # (..., L, L), (B, H, N, L, 1)
    right = beta[..., None] * torch.cat([v, g * k], dim=-1)  # (B, H, N, L, V + K)
    u, w = _solve(k, decay, beta, right).split([v.size(-1), k.size(-1)], dim=-1)
    k_end = k * decay[..., -1, :, None]
    starts = []
    chunks = zip(g[..., -1:, :].unbind(2), k_end.unbind(2), u.unbind(2), w.unbind(2), strict=True)
    for kept, keys, u_chunk, w_chunk in chunks:
        starts.append(memory)
        memory = kept * memory + keys.mT @ (u_chunk - w_chunk @ memory)
    before = torch.stack(starts, dim=2)  # (B, H, N, K, V)
    o = g * (q @ before) + (q @ k.mT * decay) @ (u - w @ before)
    return o.flatten(2, 3)[:, :, :length], memory


def delta_rule_weights(steps: Steps) -> Tensor:
    """Return w (B, H, T, T): from an empty memory, the outputs are o = w v."""
    q, k, _, log_a, beta = steps
    decay = decays(log_a)
    return (q @ k.mT * decay) @ _solve(k, decay, beta, beta.diag_embed())


def _solve(k: Tensor, decay: Tensor, beta: Tensor, right: Tensor) -> Tensor:
    """Solve (I + M) U = right (..., L, any) for U, with the M of `gated_delta_rule`."""
    m = (beta[..., None] * (k @ k.mT) * decay).tril(-1)
    return torch.linalg.solve_triangular(m, right, upper=False, unitriangular=True)


class GatedDeltaNet(Mixer):
    """A mixer of `heads` memories.

    A key has dim / heads features, and a value `expansion` times as many. With `causal=False`, half
    of the heads read backwards. Raises ValueError if heads do not fit.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        expansion: int = 1,
        convolution: int = 4,
        *,
        negative_eigenvalues: bool = False,
        causal: bool = True,
    ) -> None:
        super().__init__()
        check_heads(heads, dim, causal)
        self.heads, self.causal, inner = heads, causal, expansion * dim
        self.max_beta = 2.0 if negative_eigenvalues else 1.0
        self.widths = dim // heads, dim // heads, inner // heads  # of q, k and v of a head
        self.to_qkv = nn.Linear(dim, 2 * dim + inner, bias=False)
        self.convolution = ShortConvolution(2 * dim + inner, convolution, bias=False)
        self.to_steps = nn.Linear(dim, 2 * heads, bias=False)  # Wa and Wb
        self.log_rate, self.step_bias = (nn.Parameter(torch.zeros(heads)) for _ in range(2))
        self.norm = RMSNorm(inner // heads, eps=NORM_EPS)
        self.gate = nn.Linear(dim, inner, bias=False)
        self.output = nn.Linear(inner, dim, bias=False)

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: DeltaNetState | None = None
    ) -> tuple[Tensor, DeltaNetState]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is that at the last real token. Raises ValueError as `check_state`.
        """
        check_state(state, self.causal)
        values, inputs = (None, None) if state is None else state
        steps, inputs = self._steps(x, padding, inputs)
        with torch.autocast(x.device.type, enabled=False):  # if beta is near 2, errors do not fade
            o, values = gated_delta_rule(steps, values)
        if not self.causal:
            o = half_backwards(o, 1, (2,))
        o = self.norm(o.to(x.dtype)).transpose(1, 2).flatten(2)  # (B, T, H * V)
        if padding is not None:
            o = o.where(padding[..., None], 0.0)
        return self.output(o * F.silu(self.gate(x))), DeltaNetState(values, inputs)

    def _steps(
        self, x: Tensor, padding: Tensor | None, past: Tensor | None
    ) -> tuple[Steps, Tensor]:
        """Return the steps of each head, in the order in which it reads, and the inputs to keep."""
        qkv, (wa, wb) = self.to_qkv(x), self.to_steps(x).chunk(2, dim=-1)  # (B, T, H)
        log_a = -self.log_rate.exp() * F.softplus(wa + self.step_bias)
        beta = self.max_beta * wb.sigmoid()
        qkv, log_a, beta = in_reading_order((qkv, log_a, beta), padding, self.causal)
        qkv, inputs = self.convolution(qkv, padding if self.causal else None, past)
        heads = F.silu(qkv).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = heads.split(self.widths, dim=-1)  # (B, H, T, K), and (B, H, T, V)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        return Steps(*map(at_least_single, (q, k, v, log_a.mT, beta.mT))), inputs

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, H, T, T) and values (B, H, T, V): see `Mixer.implicit_map`."""
        check_map_fits(len(x), self.heads, x.size(1))
        steps, _ = self._steps(x, padding, None)
        found = delta_rule_weights(steps), steps.v
        return found if self.causal else half_backwards_map(*found)

    def flops_per_token(self, length: int) -> float:
        """Return the operations per token: matrices, chunk products and triangular solves."""
        key, _, value = self.widths
        before = (min(length, CHUNK) - 1) / 2
        in_chunk = 2 * before * (2 * key + value) + 2 * (before + 1) * (key + value)
        return matrix_flops(self) + self.heads * (in_chunk + 6 * key * value)

    def state_size(self, length: int) -> int:
        """Return the number of elements in S and the kept inputs, whatever the length."""
        key, _, value = self.widths
        return self.heads * (key * value + (self.convolution.size - 1) * sum(self.widths))

    def initialise(self, residual_std: float | None) -> None:
        """Set the decays as Mamba2 does (Dao and Gu 2024), and the output matrix."""
        init_time_steps(self.log_rate, self.step_bias, rates=(1e-4, 16.0))
        super().initialise(residual_std)


register_class("gated_deltanet", GatedDeltaNet)
