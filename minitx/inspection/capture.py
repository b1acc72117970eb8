"""Capture what every attention of a model attends to while the model runs.

    with capture(model) as captured:
        model(tokens)
    captured["decoder.layers.0.self"]  # (batch, heads, queries, keys)

The weights leave a model only through the capture switch of its attention (`on_attention`), so they
are the weights that its outputs were computed from.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitx.errors import UserError
from minitx.models.model import Model
from minitx.nn.attention import AttentionRecord, MultiHeadAttention
from minitx.nn.recurrent_attention import RecurrentAttention

Attention = MultiHeadAttention | RecurrentAttention
Found = TypeVar("Found")


class Captured(Mapping[str, Tensor]):
    """The weights of every attention that was called, by the name of the attention.

    `calls[name]` holds the weights of each call, (B, heads, Q, K). `captured[name]` stacks the
    calls: (B, heads, all queries, most keys). A forward pass is one call, except in a decoder with
    input feeding and in decoding with a cache, where every step is a call. Keys that a call did
    not have yet are zero.
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
    """Capture the weights of `model` within a `with` block: float32, on the CPU, no gradients.

    `layers` and `heads` select some of them, numbered from 0. Attention outside any numbered layer
    counts as layer 0. Names are those of `find_attention`. The model may be any module that holds
    attention of minitx.nn. Captures can be nested. A function that was set as the switch before
    still gets its records, and is set again afterwards.

    Raises UserError for a model without attention, and for layers or heads that it does not have.
    """
    found = of_layers(find_attention(model), layers)
    if not found:
        raise UserError("the model has no attention of minitx.nn, so there is nothing to capture")
    captured = Captured(list(found))
    chosen = {name: _check_heads(name, attention, heads) for name, attention in found.items()}
    with ExitStack() as switches:
        for name, attention in found.items():
            keep = _keeper(captured.calls[name], chosen[name])
            switches.enter_context(recording(attention, keep))
        yield captured


@contextmanager
def recording(attention: Attention, receive: Callable[[AttentionRecord], None]) -> Iterator[None]:
    """Call `receive` with the record of every call of `attention` within a `with` block.

    A function that was set before is called first, and is set again afterwards.
    """
    before = attention.on_attention

    def both(record: AttentionRecord) -> None:
        if before is not None:
            before(record)
        receive(record)

    attention.on_attention = both
    try:
        yield
    finally:
        attention.on_attention = before


def find_attention(model: nn.Module) -> dict[str, Attention]:
    """Return every attention in a model by its name, in the order of the model.

    Names are "encoder.layers.N.self", "decoder.layers.N.self" (also in a language model) and
    "decoder.layers.N.cross". The attention of a recurrent decoder is "decoder.cross". In modules
    other than the models of minitx, the name is the path of the module.
    """
    ours = isinstance(model, Model)
    return {
        map_name(path) if ours else path or "attention": module
        for path, module in model.named_modules()
        if isinstance(module, Attention)
    }


def head_count(attention: Attention) -> int:
    """Return the number of heads; the attention of a recurrent decoder has one."""
    return attention.heads if isinstance(attention, MultiHeadAttention) else 1


def shared_by(attention: Attention) -> int:
    """Return how many heads share their keys and values."""
    if isinstance(attention, MultiHeadAttention):
        return attention.heads // attention.kv_heads
    return 1


def kind_of(name: str) -> str:
    """Return the kind of a map by its name: "encoder", "decoder", "cross" or "implicit ...".

    >>> kind_of("encoder.layers.0.implicit")
    'implicit encoder'
    """
    if name.endswith("cross"):
        return "cross"
    side = name.split(".")[0]
    return f"implicit {side}" if name.endswith(".implicit") else side


def layer_number(name: str) -> int | None:
    """Return the layer in the name of an attention, or None if there is none.

    >>> layer_number("decoder.layers.2.cross")
    2
    """
    number = re.search(r"(?<![^.])\d+(?![^.])", name)
    return int(number[0]) if number else None


def check_numbers(what: str, asked: Sequence[int], known: Sequence[int], owner: str) -> list[int]:
    """Return the numbers asked for without duplicates. Raises UserError unless all are known."""
    if not asked or not set(asked) <= set(known):
        raise UserError(f"{what}={list(asked)}: {owner} has {choices(what, known)}")
    return list(dict.fromkeys(asked))


def of_layers(found: Mapping[str, Found], layers: Sequence[int] | None) -> dict[str, Found]:
    """Return what belongs to some layers, or all of it; `found` is by the names of maps.

    A name without a number counts as layer 0. Raises UserError for layers that are not there.
    """
    if layers is None:
        return dict(found)
    numbers = {name: layer_number(name) or 0 for name in found}
    chosen = check_numbers("layers", layers, sorted(set(numbers.values())), "the model")
    return {name: each for name, each in found.items() if numbers[name] in chosen}


def selection(
    layers: Sequence[int] | None, heads: Sequence[int] | None, truncate: bool
) -> dict[str, Any]:
    """Return plain values that say which maps were asked for."""
    return {
        "layers": None if layers is None else list(layers),
        "heads": None if heads is None else list(heads),
        "truncate": truncate,
    }


def choices(what: str, known: Sequence[int]) -> str:
    """Return what there is to choose from, for an error.

    >>> choices("heads", range(4))
    'heads 0 to 3'
    """
    first, last = known[0], known[-1]
    if len(known) == 1:
        return f"only {what.removesuffix('s')} {first}"
    if list(known) == list(range(first, last + 1)):
        return f"{what} {first} to {last}"
    return f"{what} {', '.join(map(str, known))}"


def map_name(path: str, mixer: str = "self") -> str:
    """Return the name of the map of a module, by its path in a model of minitx."""
    path = re.sub(r"^(backbone|decoder\.stack)\.", "decoder.", path)
    path = re.sub(r"\.mixer$", f".{mixer}", path)
    return "decoder.cross" if path == "decoder.attention" else path


def _check_heads(name: str, attention: Attention, heads: Sequence[int] | None) -> list[int] | None:
    if heads is None:
        return None
    return check_numbers("heads", heads, range(head_count(attention)), name)


def _keeper(calls: list[Tensor], heads: list[int] | None) -> Callable[[AttentionRecord], None]:
    """Return a function that appends the weights of some heads, or of all, to `calls`."""

    def keep(record: AttentionRecord) -> None:
        # Tensors of inference mode could hardly be used outside of it.
        with torch.inference_mode(False):
            weights = record.weights.detach()
            kept = weights if heads is None else weights[:, heads]
            calls.append(kept.to("cpu", torch.float32, copy=True))

    return keep
