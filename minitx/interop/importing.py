"""Language models of the `transformers` library as runs of minitx."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from minitx.config.compose import compose
from minitx.config.paths import full_path
from minitx.config.schema import TOKENIZERS, TransformerConfig
from minitx.config.tasks import LANGUAGE_MODELING
from minitx.data.tokenizers.pretrained import from_library, numbers
from minitx.errors import UserError
from minitx.interop.counterparts import ACTIVATIONS
from minitx.interop.folders import open_folder
from minitx.interop.layouts import GPT2, LLAMA, Layout
from minitx.models.build import language_model
from minitx.runs.vocabulary import TextVocabulary
from minitx.tasks.run import Run

OUR_ACTIVATIONS = {theirs: ours for ours, theirs in ACTIVATIONS.items()}
OUR_ACTIVATIONS["gelu_pytorch_tanh"] = "gelu_tanh"


def from_transformers(
    model: Any, tokenizer: Any = None, *, task: str = "shakespeare", context: int | None = None
) -> Run:
    """Return a GPT-2 or Llama model of `transformers` as a run of minitx, with the same outputs.

    `model` is a GPT2LMHeadModel or a LlamaForCausalLM, or a folder that `save_pretrained` wrote.
    `run.model` is then a `LanguageModel` of minitx in float32: `minitx.attention`, explain, head
    importance, induction scores and `run.generate` work on it. `run.evaluate` and head importance
    measure it on the corpus of `task`. `run.save(folder)` writes a run for all commands.

    `tokenizer` is a fast tokenizer of `transformers`; the one in the folder is the default. It adds
    no special tokens. Without one, a text is a list of ids, as in "17 4 99". `context` makes the
    longest input shorter than the model's.

    Raises UserError for another model, for one with a part that minitx does not have (naming the
    key in its config), for a folder without safetensors, and for a tokenizer of another model.
    """
    if isinstance(model, str | Path):
        model, found = open_folder(Path(full_path(model, "model")))
        tokenizer = found if tokenizer is None else tokenizer
    kind = getattr(getattr(model, "config", None), "model_type", "")
    if kind not in READERS or not hasattr(model, "lm_head"):
        raise UserError(
            f"{type(model).__name__} cannot be read: minitx reads GPT2LMHeadModel and "
            "LlamaForCausalLM; minitx.attention(model, text, tokenizer=tokenizer) shows the "
            "attention of any model"
        )
    read, layout = READERS[kind]
    ours = read(model.config)
    if context is not None and not 1 <= context <= ours.context:
        raise UserError(f"context={context}: the model reads 1 to {ours.context} tokens")
    ours = dataclasses.replace(ours, context=context or ours.context)
    size = model.config.vocab_size
    known = numbers(size) if tokenizer is None else from_library(_backend(tokenizer), size)
    config = compose(f"task={task}")
    if config.task.objective != LANGUAGE_MODELING or config.task.spec.synthetic:
        raise UserError(
            f"task={task}: a language model needs a task with text, such as shakespeare"
        )
    if known.kind in TOKENIZERS:
        config.data.tokenizer = known.kind
    return Run(
        model=_converted(model, ours, layout, size),
        vocabulary=TextVocabulary(known),
        config=dataclasses.replace(config, model=ours),
        path=Path(getattr(model, "name_or_path", "") or kind, "model.safetensors"),
        step=0,
        data_fingerprint="",
        device=torch.device("cpu"),
    )


def _converted(model: nn.Module, config: TransformerConfig, layout: Layout, size: int) -> nn.Module:
    """Return one of our language models with the weights of another model."""
    theirs = {name: tensor.float().cpu() for name, tensor in model.state_dict().items()}
    weights = layout.to_ours(theirs, config.layers, config.tie_embeddings)
    if config.position == "learned":
        table = "embedding.position.table"
        weights[table] = weights[table][: config.context]
    ours = language_model(config, size)
    ours.load_state_dict(weights)
    return ours.eval()


def _backend(tokenizer: Any) -> Any:
    """Return the tokenizer of the library `tokenizers` in one of `transformers`."""
    inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(inner, "to_str"):
        raise UserError(f"{type(tokenizer).__name__} is not a fast tokenizer: give a fast one")
    return inner


def _gpt2(config: Any) -> TransformerConfig:
    _require(config, {"scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False})
    return TransformerConfig(
        name="transformer",
        dim=config.n_embd,
        layers=config.n_layer,
        heads=config.n_head,
        context=config.n_positions,
        ff_dim=config.n_inner,
        position="learned",
        norm="layernorm",
        norm_eps=config.layer_norm_epsilon,
        activation=_activation("activation_function", config.activation_function),
        scaled=config.scale_attn_weights,
        tie_embeddings=config.tie_word_embeddings,
    )


def _llama(config: Any) -> TransformerConfig:
    heads, width = config.num_attention_heads, config.hidden_size
    rope = getattr(config, "rope_parameters", None) or {
        "rope_type": (getattr(config, "rope_scaling", None) or {}).get("rope_type", "default"),
        "rope_theta": getattr(config, "rope_theta", 10_000.0),
    }
    _require(rope, {"rope_type": "default"})
    _require(config, {"mlp_bias": config.attention_bias, "head_dim": width // heads})
    return TransformerConfig(
        name="transformer",
        dim=width,
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=config.num_key_value_heads,
        context=config.max_position_embeddings,
        ff_dim=config.intermediate_size,
        position="rotary",
        rotary_base=float(rope["rope_theta"]),
        norm="rmsnorm",
        norm_eps=config.rms_norm_eps,
        activation=_activation("hidden_act", config.hidden_act),
        gated=True,
        bias=config.attention_bias,
        tie_embeddings=config.tie_word_embeddings,
    )


def _require(values: Any, only: Mapping[str, Any]) -> None:
    """Raise UserError if a key in the config has a value that minitx does not support."""
    for name, wanted in only.items():
        found = values.get(name) if isinstance(values, Mapping) else getattr(values, name, wanted)
        if found not in (wanted, None):
            raise UserError(f"{name}={found} in the model's config: minitx has only {wanted}")


def _activation(key: str, name: str) -> str:
    if name not in OUR_ACTIVATIONS:
        known = ", ".join(OUR_ACTIVATIONS)
        raise UserError(f"{key}={name} in the model's config: minitx has only {known}")
    return OUR_ACTIVATIONS[name]


READERS: dict[str, tuple[Callable[[Any], TransformerConfig], Layout]] = {
    "gpt2": (_gpt2, GPT2),
    "llama": (_llama, LLAMA),
}
