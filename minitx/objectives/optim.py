"""Optimizers and learning-rate schedules."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from minitx.config.schema import OptimizerConfig
from minitx.nn.attention import MultiHeadAttention
from minitx.objectives.muon import Muon, Parts


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """AdamW for everything, or Muon for the hidden matrices and AdamW for the rest.

    Weight decay falls on matrices and tables, never on biases and norms.
    """
    matrices, tables, vectors = split_parameters(model)
    if config.name == "muon":
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
    """Every trainable parameter once: hidden matrices, lookup tables, and vectors.

    The tables are embeddings, learned positions and the output layer: their rows stand for tokens
    or positions, so their updates are not to be orthogonalised (Jordan et al. 2024, Muon).
    """
    tables = {
        id(parameter)
        for name, part in model.named_modules()
        if isinstance(part, nn.Embedding) or name.endswith(("position", "to_logits"))
        for parameter in part.parameters(recurse=False)
    }
    groups: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for parameter in model.parameters():
        if parameter.requires_grad:
            kind = 2 if parameter.ndim < 2 else 1 if id(parameter) in tables else 0
            groups[kind].append(parameter)
    return groups


def stacked_parts(model: nn.Module) -> dict[Tensor, Parts]:
    """Return the matrices that Muon takes apart, and into how many parts.

    Queries and keys are taken apart into heads, whose scores do not mix, and the matrices of a GRU
    into gates: both lower the loss. Values and outputs of attention, and the gates of an LSTM,
    do better whole (docs/benchmarks.md).
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
    # Left to itself, a fused AdamW undoes the loss scaling of 16-mixed only in its step, after the
    # gradients were clipped: they would be clipped to nothing.
    adamw._step_supports_amp_scaling = False
    return adamw


class MuonWithAdamW(Optimizer):
    """Two optimizers that act as one, so that one schedule and one checkpoint hold both."""

    def __init__(self, muon: Muon, adamw: AdamW) -> None:
        self.parts = {"muon": muon, "adamw": adamw}
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """The parts' own groups, shared: a learning rate set here is the parts' learning rate."""
        return [group for part in self.parts.values() for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of both parts; `closure` recomputes the loss, as everywhere in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of each part by its name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = self._groups()  # loading replaced the parts' groups by new ones


def learning_rate_factor(step: int, progress: float, config: OptimizerConfig) -> float:
    """Share of the peak learning rate at a step (from 0) that is `progress` (0 to 1) of the run.

    Linear warm-up over `warmup_steps`, times cosine (Loshchilov and Hutter 2017) or linear decay to
    `min_lr_ratio` of the peak, decay with the inverse square root of the step (Vaswani et al. 2017,
    section 5.3), or none. `progress` comes apart from the step because a run may be limited by
    minutes as well as by steps.
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
    """Shortens all gradients together to `max_norm`; returns their norm before that, a scalar."""
    limit = math.inf if max_norm is None else max_norm
    return nn.utils.clip_grad_norm_(parameters, limit)
