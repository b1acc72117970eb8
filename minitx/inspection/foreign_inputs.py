"""What a model of the library `transformers` reads: its inputs, and a label for each position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minitx.data.tokenizers.base import label_of
from minitx.data.tokenizers.pretrained import BLANK, token_reader
from minitx.errors import UserError, short_reason

# Models whose positions begin after the number of the padding token.
POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "roberta-prelayernorm")
NO_LIMIT = 10**9  # tokenizers without a limit have a number that is greater


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model, with labels.

    tensors    the model's arguments
    source     a label for each position of the encoder, or of the only stack; None without tokens
    target     a label for each position of the decoder
    predicted  a label for each token that the decoder predicts
    patches    rows and columns of patches of a picture
    """

    tensors: dict[str, Tensor]
    source: tuple[str, ...] | None
    target: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    patches: tuple[int, int] | None = None
    text: str = ""
    output: str = ""
    notes: tuple[str, ...] = ()

    def labels(self, name: str, weights: Tensor) -> tuple[Sequence[str], Sequence[str]]:
        """Return the labels of the rows and columns of weights (heads, queries, keys).

        As in our own models, a row of cross-attention is labelled with the token that it helps to
        predict.
        """
        source = self.source or _places(weights.size(-1), self.patches)
        if name.endswith("cross"):
            return self.predicted, source
        if name.startswith("decoder") and self.target:
            return self.target, self.target
        return source, source


def read_inputs(
    model: Any,
    text: str | Mapping[str, Tensor],
    tokenizer: Any,
    *,
    truncate: bool,
    output: str | None,
) -> Inputs:
    """Return the inputs of a model for a text, or for given inputs, with labels.

    Raises UserError as `foreign_attention`.
    """
    device = next(model.parameters()).device
    notes: tuple[str, ...] = ()
    if isinstance(text, str):
        tensors, notes = _encoded(model, text, tokenizer, truncate)
        shown = text
    elif isinstance(text, Mapping):
        tensors, shown = {name: _tensor(name, value) for name, value in text.items()}, ""
    else:
        raise UserError(
            f"text is a {type(text).__name__}: give a string, or inputs of the model as a dict"
        )
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    ids = tensors.get("input_ids")
    if ids is not None:
        _check_ids(model, tokenizer, "text", ids[0].tolist())
    source = None if ids is None else spell(tokenizer, ids[0].tolist())
    inputs = Inputs(tensors, source, patches=_patches(model, tensors), text=shown, notes=notes)
    if not getattr(model.config, "is_encoder_decoder", False):
        if output is not None:
            raise UserError(f"{type(model).__name__} has no decoder: leave output= out")
        return inputs
    return _with_target(model, inputs, tokenizer, output, device)


def _tensor(name: str, value: Any) -> Tensor:
    """Return an input of a model. Raises UserError if it is no tensor, or one of several texts."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name} is a {type(value).__name__}, not a tensor") from error
    if name.endswith("input_ids") and tensor.ndim != 2:
        raise UserError(f"{name} has the shape {tuple(tensor.shape)}: give it as (1, tokens)")
    if tensor.ndim and tensor.size(0) != 1:
        raise UserError(f"{name} has {tensor.size(0)} inputs: give one at a time")
    return tensor


def spell(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    """Return a readable label for each id; without a tokenizer, the number."""
    if tokenizer is None:
        return tuple(map(str, ids))
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None:
        return tuple(str(token).replace(BLANK, " ") for token in tokens)
    read = token_reader(inner)
    return tuple(
        str(number) if token is None else label_of(read(token))
        for number, token in zip(ids, tokens, strict=True)
    )


def _check_ids(model: Any, tokenizer: Any, what: str, ids: Sequence[int]) -> None:
    """Raise UserError for more tokens than the model reads, or for ids that it does not have."""
    limit = token_limit(model, tokenizer)
    if limit is not None and len(ids) > limit:
        raise UserError(
            f"the {what} has {len(ids)} tokens, and the model reads {limit}: shorten it"
        )
    try:
        embeddings = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # a model of several parts, such as CLIP
        embeddings = None
    known = getattr(embeddings, "num_embeddings", None)
    if known is not None and max(ids, default=0) >= known:
        raise UserError(
            f"the {what} has the token {max(ids)}, and the model has tokens 0 to {known - 1}: is "
            "this the tokenizer of another model?"
        )


def _encoded(
    model: Any, text: str, tokenizer: Any, truncate: bool
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    if not text:
        raise UserError("the text is empty")
    if tokenizer is None:
        raise UserError(f"{type(model).__name__} needs tokenizer= to read a text")
    if not callable(tokenizer):
        raise UserError(f"tokenizer= is a {type(tokenizer).__name__}: give the tokenizer itself")
    encoded = dict(tokenizer(text, return_tensors="pt"))
    length, limit = encoded["input_ids"].size(1), token_limit(model, tokenizer)
    if not length:
        raise UserError("the text is empty: its tokenizer gives no tokens")
    if limit is None or length <= limit:
        return encoded, ()
    if not truncate:
        raise UserError(
            f"the text has {length} tokens, and the model reads {limit}: "
            "shorten it, or cut it with truncate=true"
        )
    cut = dict(tokenizer(text, return_tensors="pt", truncation=True, max_length=limit))
    return cut, (f"the first {limit} tokens of {length}: the rest of the text was cut",)


def token_limit(model: Any, tokenizer: Any) -> int | None:
    """Return how many tokens the model reads, or None if its positions have no end."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in POSITIONS_AFTER_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    limits = [positions, getattr(tokenizer, "model_max_length", None)]
    known = [int(limit) for limit in limits if limit and 0 < limit < NO_LIMIT]  # XLNet has -1
    return min(known, default=None)


def _with_target(
    model: Any, inputs: Inputs, tokenizer: Any, output: str | None, device: torch.device
) -> Inputs:
    """Return the inputs together with those of the decoder, which reads its output at once."""
    if "decoder_input_ids" in inputs.tensors:
        ids = inputs.tensors["decoder_input_ids"][0].tolist()
        predicted = (*spell(tokenizer, ids[1:]), "…")  # what follows the last token is unknown
        return _decoding(inputs, ids, predicted, tokenizer, device, output or "")
    if output is not None:
        if tokenizer is None:
            raise UserError(f"{type(model).__name__} needs tokenizer= to read an output")
        written = tokenizer(text_target=output)["input_ids"]
        if not written:
            raise UserError("the output is empty")
        _check_ids(model, tokenizer, "output", written)
        start = _start(model)
    elif _generates(model):
        room = min(2 * len(inputs.source or ()) + 10, token_limit(model, tokenizer) or NO_LIMIT) - 1
        start, *written = _generated(model, inputs.tensors, room)
        output = tokenizer.decode(written, skip_special_tokens=True) if tokenizer else ""
    else:
        raise UserError(f"{type(model).__name__} cannot generate text: give output=")
    read = [start, *written[:-1]]
    return _decoding(inputs, read, spell(tokenizer, written), tokenizer, device, output)


def _decoding(
    inputs: Inputs,
    read: list[int],
    predicted: tuple[str, ...],
    tokenizer: Any,
    device: torch.device,
    output: str,
) -> Inputs:
    return Inputs(
        tensors=inputs.tensors | {"decoder_input_ids": torch.tensor([read], device=device)},
        source=inputs.source,
        target=spell(tokenizer, read),
        predicted=predicted,
        patches=inputs.patches,
        text=inputs.text,
        output=output,
        notes=inputs.notes,
    )


def _start(model: Any) -> int:
    """Return the token that a decoder reads first. Raises UserError if the model names none."""
    configs = (model.config, getattr(model, "generation_config", None))
    found = [getattr(config, "decoder_start_token_id", None) for config in configs]
    known = [start for start in found if start is not None]
    if not known:
        raise UserError(
            f"{type(model).__name__} names no token that its decoder reads first: set "
            "model.config.decoder_start_token_id"
        )
    return int(known[0])


def _generated(model: Any, tensors: Mapping[str, Tensor], most: int) -> list[int]:
    """Return the start and at most `most` tokens that follow it. Raises UserError if it fails."""
    try:
        found = model.generate(**tensors, do_sample=False, num_beams=1, max_new_tokens=most)
    except Exception as error:  # a model raises almost anything for what it cannot do
        raise UserError(
            f"{type(model).__name__} cannot generate text ({short_reason(error)}): give output="
        ) from error
    return [int(token) for token in found[0]]


def _generates(model: nn.Module) -> bool:
    can: Any = getattr(model, "can_generate", lambda: False)
    return bool(can())


def _patches(model: Any, tensors: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Return the rows and columns of patches in a picture (1, channels, height, width)."""
    picture, size = tensors.get("pixel_values"), getattr(model.config, "patch_size", None)
    if picture is None or picture.ndim != 4 or not size:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return picture.size(2) // height, picture.size(3) // width


def _places(count: int, patches: tuple[int, int] | None) -> tuple[str, ...]:
    """Return labels of positions without tokens: of patches, or numbers.

    What a model adds before the patches is labelled [CLS], as in ViT, or with numbers if it is more
    than one.
    """
    if patches is None or (added := count - patches[0] * patches[1]) < 0:
        return tuple(map(str, range(count)))
    before = ["[CLS]"] if added == 1 else [f"[{i}]" for i in range(added)]
    rows, columns = patches
    grid = [f"{row},{column}" for row in range(rows) for column in range(columns)]
    return (*before, *grid)
