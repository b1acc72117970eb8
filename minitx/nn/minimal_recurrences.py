"""Recurrences that read a whole sequence in parallel, because their gates do not read the state.

    minGRU    h_t = (1 - z_t) h_{t-1} + z_t c_t        z = sigmoid(x Wz)
    minLSTM   h_t = f_t h_{t-1} + i_t c_t              f + i = 1, in the ratio of two sigmoids

The candidate c = g(x Wc) is positive. Products and states are elementwise. Both are linear in the
state, h_t = a_t h_{t-1} + b_t, with a and b known in advance for all t. `linear_recurrence` then
computes all states together. An LSTM cannot do that, because its gates read h_{t-1}.

Source: Feng et al. 2024, "Were RNNs all we needed?", arXiv 2410.01201, sections 3.1 and 3.2, in log
space as in appendix B.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.nn.chunks import at_least_single, decays, half_backwards, half_backwards_map
from minitx.nn.mixers import Mixer, check_map_fits, check_state, register_class

CHUNK = 64  # within a chunk, sums of logarithms stay small enough for float32
LOG_ZERO = -1e4  # its exponential is zero; minus infinity has no gradient


def linear_recurrence(log_a: Tensor, log_b: Tensor) -> Tensor:
    """Return h_t = a_t h_{t-1} + b_t for all t, from h_0 = 0: logarithms (B, T, C) -> h (B, T, C).

    With A_t = log a_1 + ... + log a_t, the recurrence is a cumulative sum,

        h_t = exp(A_t) * sum over s <= t of exp(log b_s - A_s).

    It is computed in chunks. The states at the ends of the chunks follow a recurrence of the same
    form, with a step per chunk.

    Source: Heinsen 2023, "Efficient parallelization of a ubiquitous sequential computation",
    arXiv 2311.06281.
    """
    batch, length, width = log_a.shape
    size = min(length, CHUNK)
    short = (0, 0, 0, -length % size)  # steps that fill the last chunk
    log_a = F.pad(log_a, short).view(batch, -1, size, width)
    log_b = F.pad(log_b, short, value=LOG_ZERO).view(batch, -1, size, width)
    decay = log_a.cumsum(dim=2)  # (B, chunks, CHUNK, C)
    log_h = decay + (log_b - decay).logcumsumexp(dim=2)  # from a state of zero before each chunk
    h = log_h.exp()
    if h.size(1) > 1:
        ends = linear_recurrence(decay[:, :, -1], log_h[:, :, -1])  # (B, chunks, C)
        before = F.pad(ends[:, :-1], (0, 0, 1, 0))
        h = h + decay.exp() * before[:, :, None]
    return h.flatten(1, 2)[:, :length]


class MinimalRecurrence(Mixer):
    """A mixer that is a minGRU or a minLSTM, with a state of `expansion` * dim numbers.

    With `causal=False`, half of the state runs forwards and half of it backwards.
    """

    gates: int  # linear maps of the input, the candidate included
    per_channel = True

    def __init__(self, dim: int, expansion: int = 1, *, causal: bool = True) -> None:
        super().__init__()
        self.width, self.causal = expansion * dim, causal
        if not causal and self.width % 2:
            raise ValueError(
                f"a recurrence in two directions halves dim, so dim={dim} must be even"
            )
        self.to_gates = nn.Linear(dim, self.gates * self.width)
        self.output = nn.Linear(self.width, dim, bias=False)

    def steps(self, *gates: Tensor) -> tuple[Tensor, Tensor]:
        """Return log a and log b / c, from the gates before their sigmoids: (B, T, width) each."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, padding: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, T, C), padding bool (B, T), True = a real token -> (B, T, C), and the state.

        The state is (B, width), at the last real token. Raises ValueError if a recurrence in two
        directions is given a state.
        """
        check_state(state, self.causal)
        log_a, log_share, log_c = self._read(x, padding)
        h = linear_recurrence(log_a, log_share + log_c)
        if not self.causal:
            h = half_backwards(h)
        if state is not None:
            h = h + log_a.cumsum(dim=1).exp() * state[:, None]
        return self.output(h.to(x.dtype)), h[:, -1]

    def _read(self, x: Tensor, padding: Tensor | None) -> tuple[Tensor, ...]:
        """Return log a, log b / c and log c, (B, T, width), in the order in which states read."""
        *gates, candidate = at_least_single(self.to_gates(x)).chunk(self.gates, dim=-1)
        log_a, log_share = self.steps(*gates)
        if padding is not None:  # padding leaves the state as it is
            real = padding[..., None]
            log_a, log_share = log_a.where(real, 0.0), log_share.where(real, LOG_ZERO)
        read = log_a, log_share, _log_positive(candidate)
        return read if self.causal else tuple(map(half_backwards, read))

    def implicit_map(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return weights (B, width, T, T) and values (B, width, T, 1): see `Mixer.implicit_map`.

        With A_t = log a_1 + ... + log a_t, the weight of c_s in h_t is exp(A_t - A_s) b_s / c_s.
        """
        check_map_fits(len(x), self.width, x.size(1))
        log_a, log_share, log_c = (part.mT for part in self._read(x, padding))  # (B, width, T)
        few = zip(log_a.split(16, dim=1), log_share.exp().split(16, dim=1), strict=True)
        weights = torch.cat([decays(a) * share[..., None, :] for a, share in few], dim=1)
        found = weights, log_c.exp()[..., None]
        return found if self.causal else half_backwards_map(*found)

    def state_size(self, length: int) -> int:
        """Return the width of the state, whatever the length."""
        return self.width

    def initialise(self, residual_std: float | None) -> None:
        """Initialise the gates as `nn.Linear` does, and the output matrix."""
        self.to_gates.reset_parameters()
        super().initialise(residual_std)


class MinGRU(MinimalRecurrence):
    """h_t = (1 - z_t) h_{t-1} + z_t c_t."""

    gates = 2

    def steps(self, *gates: Tensor) -> tuple[Tensor, Tensor]:
        (z,) = gates
        return F.logsigmoid(-z), F.logsigmoid(z)  # 1 - sigmoid(z) = sigmoid(-z)


class MinLSTM(MinimalRecurrence):
    """h_t = f_t h_{t-1} + i_t c_t, where f and i are the sigmoids divided by their sum."""

    gates = 3

    def steps(self, *gates: Tensor) -> tuple[Tensor, Tensor]:
        forget, keep = map(F.logsigmoid, gates)
        return F.logsigmoid(forget - keep), F.logsigmoid(keep - forget)


def _log_positive(x: Tensor) -> Tensor:
    """Return log g(x): g(x) = x + 1/2 for x >= 0, else sigmoid(x), which is continuous."""
    return torch.where(x >= 0, (x.relu() + 0.5).log(), F.logsigmoid(x))


register_class("mingru", MinGRU)
register_class("minlstm", MinLSTM)
