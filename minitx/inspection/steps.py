"""The four steps of attention, as a module of `minitx.nn` took them.

    q, k, v    queries, keys, values
    s          scores, scaled where the attention scales them
    w          weights
    y          outputs

No step is computed a second time: these are the numbers that passed through the module while it
ran, kept on their way.

Letters in shapes: H heads, Q queries, K keys, D features of a head.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from minitx.inspection.capture import Attention, capture
from minitx.nn.attention import MultiHeadAttention
from minitx.nn.cache import KeyValues
from minitx.nn.recurrent_attention import AdditiveAttention, RecurrentAttention


@dataclass(frozen=True)
class Steps:
    """What one attention did for one sequence, head by head: float32, on the CPU.

    `queries` (H, Q, D) and `keys` (H, K, D) are those that are multiplied, so with their norm and
    rotation; heads that share keys and `values` (H, K, D) have equal ones. `scores` (H, Q, K) are
    what the softmax is given; `allowed` bool (H, Q, K), True = may attend; `weights` (H, Q, K);
    `outputs` (H, Q, D), before the heads are joined.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    scores: Tensor
    allowed: Tensor
    weights: Tensor
    outputs: Tensor


class _Call(NamedTuple):
    """One call's tensors, as in `Steps` but for a batch before them."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    scores: Tensor
    outputs: Tensor


def steps_of(attention: Attention, forward: Callable[[], Any]) -> Steps:
    """The steps that `attention` takes while `forward()` runs it, or its model, on one sequence.

    Where it is called once for each query, the queries are put one below the other again. Raises
    ValueError where it is not called at all.
    """
    if isinstance(attention, MultiHeadAttention):
        watching = _multi_head(attention)
    else:
        watching = _recurrent(attention)
    with capture(attention) as captured, watching as calls:
        forward()
    if not calls:
        raise ValueError("the attention was not called")

    queries, scores, outputs = (
        torch.cat([getattr(call, name) for call in calls], dim=-2)
        for name in ("queries", "scores", "outputs")
    )
    # `masked_softmax` puts the lowest number there is where a query may not attend.
    allowed = scores > torch.finfo(scores.dtype).min
    (weights,) = captured.values()
    return Steps(
        queries=_alone(queries),
        keys=_alone(calls[0].keys),
        values=_alone(calls[0].values),
        scores=_alone(scores),
        allowed=allowed[0].cpu(),
        weights=weights[0],
        outputs=_alone(outputs),
    )


@contextmanager
def _multi_head(attention: MultiHeadAttention) -> Iterator[list[_Call]]:
    calls: list[_Call] = []
    joined: list[Tensor] = []
    compute = attention.attention

    def noting(q: Tensor, k: Tensor, v: Tensor, *masks: Any, **more: Any) -> Tensor:
        with _Softmaxes() as softmaxes:
            y = compute(q, k, v, *masks, **more)
        group = attention.heads // attention.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        outputs = joined.pop().unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        calls.append(_Call(q, k, v, softmaxes.scores.pop(), outputs))
        return y

    with _in_front_of(attention, "attention", noting), _inputs_of(attention.output, joined):
        yield calls


@contextmanager
def _recurrent(attention: RecurrentAttention) -> Iterator[list[_Call]]:
    calls: list[_Call] = []
    combined: list[Tensor] = []
    compute = attention.forward

    def noting(x: Tensor, source: KeyValues) -> Tensor:
        with _Softmaxes() as softmaxes:
            y = compute(x, source)
        q = attention.query(x) if isinstance(attention, AdditiveAttention) else x
        context = combined.pop()[..., : x.size(-1)]  # the first half of [c; h]
        scores = softmaxes.scores.pop()
        calls.append(_Call(q[:, None], source.keys, source.values, scores, context[:, None]))
        return y

    with _in_front_of(attention, "forward", noting), _inputs_of(attention.combine, combined):
        yield calls


class _Softmaxes(TorchFunctionMode):
    """Keeps what every softmax is given that runs within: the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[Tensor] = []

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        if function is Tensor.softmax:
            self.scores.append(arguments[0])
        return function(*arguments, **(options or {}))


@contextmanager
def _in_front_of(module: nn.Module, method: str, noting: Callable[..., Tensor]) -> Iterator[None]:
    """Within it, the module calls `noting` in place of a method of its class."""
    setattr(module, method, noting)
    try:
        yield
    finally:
        delattr(module, method)


@contextmanager
def _inputs_of(module: nn.Module, kept: list[Tensor]) -> Iterator[None]:
    """Within it, `kept` fills up with what the module is called with."""
    with module.register_forward_pre_hook(lambda _, inputs: kept.append(*inputs)):
        yield


def _alone(batch: Tensor) -> Tensor:
    """The one sequence of a batch, as `Steps` hold it."""
    return batch.detach()[0].to("cpu", torch.float32)
