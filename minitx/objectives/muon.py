"""Muon: momentum, with the singular values of every update set to about one.

The gradient of a hidden matrix has few large singular values, so a step along it moves the weights
in few directions. Muon keeps the singular vectors of the update and sets its singular values to
about one (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

`torch.optim.Muon` computes the same, one matrix at a time and in bfloat16. A processor without
bfloat16 instructions emulates them, which makes the step 25 times slower. This version stacks all
matrices of one shape and computes in float32 on a CPU.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

ITERATIONS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # of an iteration, X <- A X + B (X X') X + C (X X')^2 X
RMS = 0.2  # the size of an AdamW update, to which updates are scaled

Parts = tuple[int, int]  # the dimension along which a matrix is stacked, and the number of parts


class Muon(Optimizer):
    """Momentum (Nesterov's), orthogonalised updates, and decoupled weight decay, for matrices.

    `parts` says which matrices are several stacked matrices, such as the heads of attention or the
    gates of a GRU. Each of their parts is orthogonalised separately.

    Updates are scaled to a root mean square of `RMS`, so one learning rate suits matrices of all
    shapes, and rates are comparable with AdamW's (Liu et al. 2025, section 2.2). The state of a
    parameter has the names of `torch.optim.Muon`, and states are interchangeable.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        parts: Mapping[Tensor, Parts] | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.parts = parts or {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every matrix that has a gradient. `closure` recomputes the loss, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            if not matrices:
                continue
            gradients = [matrix.grad for matrix in matrices]
            averages = [self._average(matrix) for matrix in matrices]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, averages, group["momentum"])
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            self._add_orthogonalised(matrices, updates, group["lr"])
        return loss

    def _average(self, matrix: Tensor) -> Tensor:
        """Return the running average of the gradients of a matrix."""
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return state["momentum_buffer"]

    def _add_orthogonalised(
        self, matrices: list[Tensor], updates: Iterable[Tensor], lr: float
    ) -> None:
        """Move each matrix against its update, one stack of parts of the same shape at a time."""
        stacks: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for matrix, update in zip(matrices, updates, strict=True):
            parts = self.parts.get(matrix, (0, 1))
            target, source = _split(matrix, parts), _split(update, parts)  # (parts, m, n)
            if target.size(1) > target.size(2):
                target, source = target.mT, source.mT  # so that tall and wide ones share a stack
            stacks[target.shape[1:]].append((target, source))
        for (_, columns), pairs in stacks.items():
            targets, sources = zip(*pairs, strict=True)
            steps = orthogonalise(torch.cat(sources)).split([len(source) for source in sources])
            torch._foreach_add_(targets, steps, alpha=-lr * RMS * math.sqrt(columns))


def orthogonalise(x: Tensor) -> Tensor:
    """Return matrices with the singular vectors of `x` and singular values between 0.7 and 1.2.

    x (parts, m, n) with m <= n -> (parts, m, n), of the same dtype. Singular values below about a
    thousandth of the matrix's norm come out smaller. An iteration is an odd polynomial of the
    matrix, so it acts on the singular values alone. Source: Jordan et al. 2024, "Newton-Schulz".
    """
    dtype = x.dtype
    half = x.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    x = x.bfloat16() if half else x.to(torch.promote_types(dtype, torch.float32))
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value above one
    # A Gram matrix squares the singular values, which bfloat16 is too coarse for.
    if not half and 2 * x.size(-1) > 3 * x.size(-2):
        return (_gram_iterations(x @ x.mT) @ x).to(dtype)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.to(dtype)


def _gram_iterations(gram: Tensor) -> Tensor:
    """Return what all iterations together multiply X by, from the Gram matrix X X' alone.

    gram (parts, m, m) -> (parts, m, m). Every factor is a polynomial of the Gram matrix, so they
    commute: P (X X') P is the next Gram matrix. An iteration multiplies m x m matrices only, which
    is less work than the direct form if n > 1.5 m.
    """
    product = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
    product.diagonal(dim1=-2, dim2=-1).add_(A)
    factor = product
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        factor.diagonal(dim1=-2, dim2=-1).add_(A)
        product = factor @ product
    return product


def _split(matrix: Tensor, parts: Parts) -> Tensor:
    """Return a view of a matrix as its parts: (rows, columns) -> (parts, m, n)."""
    dim, number = parts
    return matrix.unflatten(dim, (number, -1)).movedim(dim, 0)
