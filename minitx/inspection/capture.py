"""What every attention of a model attended to, kept while the model runs.

    with capture(model) as captured:
        model(tokens)
    captured["decoder.layers.0.self"]  # (batch, heads, queries, keys)

The maps leave a model by the capture switch of its attention alone (`on_weights`), so they are the
weights that the outputs were made with.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.errors import UserError
from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import MultiHeadAttention
from minitx.nn.recurrent_attention import RecurrentAttention

Attention = MultiHeadAttention | RecurrentAttention


class Captured(Mapping[str, Tensor]):
    """The weights of every attention that was called, by its name.

    `calls[name]` holds those of each call, (B, heads, Q, K). `captured[name]` is the calls one
    below the other, (B, heads, all queries, most keys): one forward is one call, but for a decoder
    with input feeding, and in decoding with a cache every step is a call. Keys that a call did not
    have yet are zero.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.calls: dict[str, list[Tensor]] = {name: [] for name in names}

    def __getitem__(self, name: str) -> Tensor:
        calls = self.calls[name]
        if not calls:
            raise KeyError(f"{name} was not called")
        keys = max(weights.size(-1) for weights in calls)
        return torch.cat([F.pad(weights, (0, keys - weights.size(-1))) for weights in calls], -2)

    def __iter__(self) -> Iterator[str]:
        return (name for name, calls in self.calls.items() if calls)

    def __len__(self) -> int:
        return sum(map(bool, self.calls.values()))


@contextmanager
def capture(
    model: nn.Module, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None
) -> Iterator[Captured]:
    """Within it, what `model` attends to is kept: float32, on the CPU, without gradients.

    Kept are the attention of all `layers` and all `heads`, or of those named, numbered from 0;
    attention in no numbered layer counts as layer 0. Names are those of `find_attention`. Any
    module that holds attention of minitx.nn will do. Captures may be nested, and whatever was set
    as a switch before still gets the weights, and is set again afterwards.

    Raises UserError for a model without attention, and for layers or heads that it does not have.
    """
    found = _of_layers(find_attention(model), layers)
    captured = Captured(list(found))
    switches = {
        name: _keeper(captured.calls[name], _check_heads(name, attention, heads), attention)
        for name, attention in found.items()
    }
    before = {name: attention.on_weights for name, attention in found.items()}
    try:
        for name, attention in found.items():
            attention.on_weights = switches[name]
        yield captured
    finally:
        for name, attention in found.items():
            attention.on_weights = before[name]


def find_attention(model: nn.Module) -> dict[str, Attention]:
    """Every attention in a model, in its order, by what is called its name everywhere.

    "encoder.layers.N.self", "decoder.layers.N.self" (a language model is all decoder),
    "decoder.layers.N.cross"; of a recurrent decoder "decoder.cross". In other modules than the
    models of minitx it is the path of the module.
    """
    ours = isinstance(model, LanguageModel | Seq2Seq | Classifier)
    return {
        _name(path) if ours else path or "attention": module
        for path, module in model.named_modules()
        if isinstance(module, Attention)
    }


def head_count(attention: Attention) -> int:
    """How many heads an attention has; a recurrent decoder's has one."""
    return attention.heads if isinstance(attention, MultiHeadAttention) else 1


def check_numbers(what: str, asked: Sequence[int], known: Sequence[int], where: str) -> list[int]:
    """The numbers asked for, each once. Raises UserError unless all are known ones."""
    if not asked or not set(asked) <= set(known):
        first, last = known[0], known[-1]
        if len(known) == 1:
            there = f"{what.removesuffix('s')} {first} alone"
        elif list(known) == list(range(first, last + 1)):
            there = f"{what} {first} to {last}"
        else:
            there = f"{what} {', '.join(map(str, known))}"
        raise UserError(f"{what}={list(asked)}: {where} has {there}")
    return list(dict.fromkeys(asked))


def _name(path: str) -> str:
    path = re.sub(r"^(backbone|decoder\.stack)\.", "decoder.", path)
    path = re.sub(r"\.mixer$", ".self", path)
    return "decoder.cross" if path == "decoder.attention" else path


def layer_of(name: str) -> int:
    """Return the number of the layer in the name of an attention, or 0 if it has none."""
    number = re.search(r"(?<![^.])\d+(?![^.])", name)
    return int(number[0]) if number else 0


def _of_layers(found: dict[str, Attention], layers: Sequence[int] | None) -> dict[str, Attention]:
    if not found:
        raise UserError("the model holds no attention of minitx.nn: there is nothing to capture")
    if layers is None:
        return found
    known = sorted(set(map(layer_of, found)))
    chosen = check_numbers("layers", layers, known, "the model")
    return {name: attention for name, attention in found.items() if layer_of(name) in chosen}


def _check_heads(name: str, attention: Attention, heads: Sequence[int] | None) -> list[int] | None:
    if heads is None:
        return None
    return check_numbers("heads", heads, range(head_count(attention)), name)


def _keeper(
    calls: list[Tensor], heads: list[int] | None, attention: Attention
) -> Callable[[Tensor], None]:
    """A switch that keeps the weights of some heads, and hands all on to the switch before it."""
    before = attention.on_weights

    def keep(weights: Tensor) -> None:
        if before is not None:
            before(weights)
        # Not as tensors of inference mode, with which little can be done outside of it.
        with torch.inference_mode(False):
            kept = weights.detach() if heads is None else weights.detach()[:, heads]
            calls.append(kept.to("cpu", torch.float32, copy=True))

    return keep
