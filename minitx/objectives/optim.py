"""Optimizers and learning-rate schedules."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from minitx.config.schema import OptimizerConfig
from minitx.nn.attention import MultiHeadAttention
from minitx.nn.short_convolution import ShortConvolution
from minitx.objectives.muon import Muon, Parts


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Return AdamW for all parameters, or Muon for the hidden matrices and AdamW for the rest.

    Weight decay applies to matrices and tables, not to biases and norms.
    """
    matrices, tables, vectors = split_parameters(model)
    if config.name == "muon" and matrices:
        muon = Muon(
            matrices,
            lr=config.muon_lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            parts=stacked_parts(model),
        )
        return MuonWithAdamW(muon, _adamw(tables, vectors, config))
    return _adamw(matrices + tables, vectors, config)


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the trainable parameters as hidden matrices, lookup tables, and vectors.

    The tables are embeddings, learned positions, the output layer over a vocabulary and short
    convolutions. Each of their rows belongs to a token, a position or a step, so their updates must
    not be orthogonalised (Jordan et al. 2024, Muon).
    """
    tables = {
        id(parameter)
        for name, part in model.named_modules()
        if isinstance(part, nn.Embedding | ShortConvolution)
        or name.endswith(("position", "to_logits"))
        for parameter in part.parameters(recurse=False)
    }
    groups: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for parameter in model.parameters():
        if parameter.requires_grad:
            kind = 2 if parameter.ndim < 2 else 1 if id(parameter) in tables else 0
            groups[kind].append(parameter)
    return groups


def stacked_parts(model: nn.Module) -> dict[Tensor, Parts]:
    """Return the matrices that Muon splits, and the number of parts of each.

    The query and key matrices are split into heads, whose scores do not mix, and the matrices of a
    GRU into gates. Both lower the loss. The value and output matrices of attention and the gates of
    an LSTM work better whole (docs/benchmarks.md).
    """
    parts: dict[Tensor, Parts] = {}
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            parts[module.query.weight] = (0, module.heads)
            parts[module.key.weight] = (0, module.kv_heads)
        elif isinstance(module, nn.GRU):
            parts |= {matrix: (0, 3) for matrix in module.parameters() if matrix.ndim == 2}
    return parts


def _adamw(decayed: list[Tensor], free: list[Tensor], config: OptimizerConfig) -> AdamW:
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    adamw = AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
    # By default, a fused AdamW undoes the loss scaling of 16-mixed in its step. Gradients are
    # clipped before that, while they are scaled, so clipping would shrink them to almost zero.
    adamw._step_supports_amp_scaling = False
    return adamw


class MuonWithAdamW(Optimizer):
    """Two optimizers that act as one, with one schedule and one entry in checkpoints."""

    def __init__(self, muon: Muon, adamw: AdamW) -> None:
        self.parts = {"muon": muon, "adamw": adamw}
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """Return the groups of both parts, shared: setting a learning rate here sets it there."""
        return [group for part in self.parts.values() for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step with both parts. `closure` recomputes the loss, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part by its name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = self._groups()  # loading replaced the parts' groups by new ones


def learning_rate_factor(step: int, progress: float, config: OptimizerConfig) -> float:
    """Return the learning rate at a step, as a fraction of the peak.

    Steps count from 0. `progress` is the completed fraction of the run, 0 to 1. It is separate
    from the step because a run may be limited by minutes instead of steps.

    The rate is a linear warm-up over `warmup_steps`, times the schedule: cosine (Loshchilov and
    Hutter 2017) or linear decay to `min_lr_ratio` of the peak, decay with the inverse square root
    of the step (Vaswani et al. 2017, section 5.3), or constant.
    """
    warmup = config.warmup_steps
    rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if config.schedule == "constant":
        return rising
    if config.schedule == "noam":
        return rising * min(1.0, math.sqrt(max(warmup, 1) / (step + 1)))
    left = 1.0 - min(1.0, progress)
    if config.schedule == "cosine":
        left = (1.0 - math.cos(math.pi * left)) / 2
    return rising * (config.min_lr_ratio + (1.0 - config.min_lr_ratio) * left)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float | None) -> Tensor:
    """Clip the norm of all gradients to `max_norm`. Return their norm before clipping, a scalar."""
    limit = math.inf if max_norm is None else max_norm
    return nn.utils.clip_grad_norm_(parameters, limit)
