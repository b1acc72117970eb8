"""The attention of models of the library `transformers`: encoders, decoders, and both together.

The models are asked for their weights by `output_attentions`. Only eager attention has any, so a
model is switched to it, and back. This module imports nothing of the library.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from minitx.errors import UserError, short_reason
from minitx.inspection.capture import check_numbers, of_layers, selection
from minitx.inspection.foreign_findings import foreign_findings
from minitx.inspection.foreign_inputs import Inputs, read_inputs
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.tensors import is_causal, labelled_map, single
from minitx.inspection.weights import AttentionMap


@torch.no_grad()
def foreign_attention(
    model: Any,
    text: str | Mapping[str, Tensor],
    tokenizer: Any = None,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    truncate: bool = False,
    output: str | None = None,
) -> AttentionMaps:
    """Return what every head of a model of `transformers` attends to while it reads a text.

    `text` may also be the inputs of the model, such as {"pixel_values": ...}: one of them, not a
    batch. The patches of a picture are labelled with their row and column. An encoder-decoder reads
    `output` after the text, or what it generates greedily. `layers` and `heads` select some of
    them, numbered from 0. `truncate` cuts a text that is longer than the model can read.

    Of a decoder, the induction scores of the heads are measured as well, and what it expects after
    each token, if it predicts tokens.

    The model is in eval mode meanwhile, and has its own attention kernel and mode again afterwards.

    Raises UserError for an object that is not such a model, for a model that returns no weights,
    for an empty text, one that is too long, or one without its tokenizer, for inputs that the model
    cannot read, and for layers or heads that it does not have.
    """
    name = type(model).__name__
    if not isinstance(model, nn.Module) or not hasattr(model, "config"):
        raise UserError(f"{name} is neither a run of minitx nor a model of transformers")
    with eager(model):
        inputs = read_inputs(model, text, tokenizer, truncate=truncate, output=output)
        outputs = _read(model, inputs)
        found = _captured(outputs)
        if not found:
            raise UserError(
                f"{name} returned no attention: it has none, or only kernels that never store "
                "weights"
            )
        known = foreign_findings(model, tokenizer, inputs, outputs) if _decodes(found) else None
    maps = _labelled(of_layers(found, layers), inputs, heads)
    about = {
        "model": name,
        "text": inputs.text,
        "output": inputs.output,
        "notes": list(inputs.notes),
        "settings": selection(layers, heads, truncate),
    }
    path = Path(str(getattr(model, "name_or_path", "") or "")).name
    return AttentionMaps(maps, f"{name} {path}".strip(), about, None, known)


def _read(model: Any, inputs: Inputs) -> Any:
    """Return what a model returns. Raises UserError if it cannot read the inputs."""
    try:
        return model(**inputs.tensors, output_attentions=True, return_dict=True)
    except Exception as error:  # a model raises almost anything for what it cannot read
        given = ", ".join(inputs.tensors) or "no inputs"
        raise UserError(
            f"{type(model).__name__} cannot read {given}: {short_reason(error)}"
        ) from error


@contextmanager
def eager(model: nn.Module) -> Iterator[None]:
    """Switch a model to eager attention and to eval mode within a `with` block.

    Afterwards, each part has the attention and the mode that it had. Raises UserError if the model
    has no eager attention.
    """
    configs = {id(part.config): part.config for part in model.modules() if hasattr(part, "config")}
    before = [
        (config, config._attn_implementation)
        for config in configs.values()
        if hasattr(config, "_attn_implementation")
    ]
    training = [part for part in model.modules() if part.training]
    switch: Any = getattr(model, "set_attn_implementation", None)
    try:
        if switch is not None and any(kernel != "eager" for _, kernel in before):
            try:
                switch("eager")
            except (ValueError, ImportError, NotImplementedError) as error:
                raise UserError(
                    f"{type(model).__name__} has no eager attention, and only that has weights to "
                    f"show ({short_reason(error)})"
                ) from error
        model.eval()
        yield
    finally:
        for config, kernel in before:  # that of the whole model first: it sets those of its parts
            config._attn_implementation = kernel
        for part in training:
            part.training = True


def _captured(outputs: Any) -> dict[str, Tensor]:
    """Return the weights of each attention (heads, queries, keys), by our names for them."""
    own = _layers(outputs, "attentions").values()
    kind = "decoder" if own and all(map(is_causal, own)) else "encoder"
    fields = {
        "attentions": f"{kind}.layers.{{}}.self",
        "encoder_attentions": "encoder.layers.{}.self",
        "decoder_attentions": "decoder.layers.{}.self",
        "cross_attentions": "decoder.layers.{}.cross",
    }
    return {
        name.format(layer): weights
        for field, name in fields.items()
        for layer, weights in _layers(outputs, field).items()
    }


def _decodes(found: Mapping[str, Tensor]) -> bool:
    """Return whether a model is a decoder alone: no token attends to a later one."""
    return all(name.startswith("decoder") and name.endswith("self") for name in found)


def _layers(outputs: Any, name: str) -> dict[int, Tensor]:
    """Return the weights of the layers that returned some, by the number of the layer."""
    layers = getattr(outputs, name, None) or ()
    return {
        number: single(weights, f"layer {number} of {name}")
        for number, weights in enumerate(layers)
        if weights is not None
    }


def _labelled(
    found: dict[str, Tensor], inputs: Inputs, heads: Sequence[int] | None
) -> tuple[AttentionMap, ...]:
    maps = []
    for name, weights in found.items():
        queries, keys = inputs.labels(name, weights)
        numbers = (
            None if heads is None else check_numbers("heads", heads, range(len(weights)), name)
        )
        maps.append(labelled_map(name, weights, queries, keys, numbers))
    return tuple(maps)
