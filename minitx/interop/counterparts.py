"""The models of the `transformers` library that compute the same function as some of ours.

A config says which counterpart a model has. If it has none, the keys in which it differs from the
nearest one can be named.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from minitx.config.fields import as_typed
from minitx.config.schema import Config, ModelConfig, TransformerConfig
from minitx.config.tasks import LANGUAGE_MODELING
from minitx.errors import UserError
from minitx.interop.layouts import GPT2, LLAMA, Layout

# The names of activations there, by ours.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
    "relu2": "relu2",
}
LAYERNORM_EPS, RMSNORM_EPS = 1e-5, torch.finfo(torch.float32).eps  # torch's defaults


@dataclass(frozen=True)
class Counterpart:
    """A kind of model in `transformers`.

    `needs` are the keys of our config with the only value that fits. `describe` returns the values
    of its config.json for one of our configs.
    """

    name: str
    architecture: str
    needs: Mapping[str, Any]
    describe: Callable[[TransformerConfig], dict[str, Any]]
    layout: Layout

    def differences(self, config: TransformerConfig) -> dict[str, tuple[Any, Any]]:
        """Return the keys that do not fit: the value in the config, and the one that fits."""
        given = {name: getattr(config, name) for name in self.needs} | _normalised(config)
        wanted = COMMON | dict(self.needs)
        return {
            name: (given.get(name, getattr(config, name)), value)
            for name, value in wanted.items()
            if given.get(name, getattr(config, name)) != value
        }

    def config_json(self, config: TransformerConfig, vocab_size: int) -> dict[str, Any]:
        """Return config.json. No token begins or ends a text, as in training."""
        return {
            "architectures": [self.architecture],
            **self.describe(config),
            "vocab_size": vocab_size,
            "tie_word_embeddings": config.tie_embeddings,
            "bos_token_id": None,
            "eos_token_id": None,
            "dtype": "float32",
        }


COMMON = {
    "mixer": "attention",
    "norm_order": "pre",
    "residual": True,
    "feedforward": True,
    "window": None,
}


def _normalised(config: TransformerConfig) -> dict[str, Any]:
    """Return values that can be written in several ways, in one of them."""
    mixers = sorted(set(config.pattern))
    groups = None if config.kv_heads in (None, config.heads) else config.kv_heads
    return {"mixer": mixers[0] if len(mixers) == 1 else config.mixer, "kv_heads": groups}


def _gpt2(config: TransformerConfig) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "n_embd": config.dim,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_positions": config.context,
        "n_inner": config.ff_dim or 4 * config.dim,
        "activation_function": ACTIVATIONS[config.activation],
        "layer_norm_epsilon": config.norm_eps or LAYERNORM_EPS,
        "scale_attn_weights": config.scaled,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "attn_pdrop": 0.0,
    }


def _llama(config: TransformerConfig) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": config.dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads or config.heads,
        "head_dim": config.dim // config.heads,
        "intermediate_size": config.ff_dim or 4 * config.dim,
        "max_position_embeddings": config.context,
        "hidden_act": ACTIVATIONS[config.activation],
        "rms_norm_eps": config.norm_eps or RMSNORM_EPS,
        "rope_theta": config.rotary_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        "attention_bias": config.bias,
        "mlp_bias": config.bias,
        "pad_token_id": None,
    }


def _qwen3(config: TransformerConfig) -> dict[str, Any]:
    values = _llama(config) | {"model_type": "qwen3", "use_sliding_window": False}
    del values["mlp_bias"]
    return values


MODERN = {"position": "rotary", "norm": "rmsnorm", "gated": True, "scaled": True}
COUNTERPARTS = (
    Counterpart(
        "GPT-2",
        "GPT2LMHeadModel",
        {
            "position": "learned",
            "norm": "layernorm",
            "gated": False,
            "qk_norm": False,
            "kv_heads": None,
        },
        _gpt2,
        GPT2,
    ),
    Counterpart("Llama", "LlamaForCausalLM", MODERN | {"qk_norm": False}, _llama, LLAMA),
    Counterpart(
        "Qwen3", "Qwen3ForCausalLM", MODERN | {"qk_norm": True, "bias": False}, _qwen3, LLAMA
    ),
)


def find_counterpart(config: ModelConfig) -> Counterpart | None:
    """Return the counterpart of our language models with this config, or None."""
    if not isinstance(config, TransformerConfig):
        return None
    return next((each for each in COUNTERPARTS if not each.differences(config)), None)


def counterpart_of(config: Config) -> Counterpart | None:
    """Return the counterpart of a run's model, or None. Only language models have one."""
    if config.task.objective != LANGUAGE_MODELING:
        return None
    return find_counterpart(config.model)


def no_counterpart(config: Config) -> UserError:
    """Return the error that names the keys in which a run differs from the nearest counterpart."""
    if config.task.objective != LANGUAGE_MODELING:
        return _without(f"task={config.task.name} is not language modelling")
    model = config.model
    if not isinstance(model, TransformerConfig):
        return _without(f"model={model.name} is not a Transformer")
    nearest = min(COUNTERPARTS, key=lambda each: len(each.differences(model)))
    differing = nearest.differences(model)
    ours = ", ".join(f"model.{name}={as_typed(value)}" for name, (value, _) in differing.items())
    theirs = ", ".join(as_typed(value) for _, value in differing.values())
    return _without(f"{ours}; {nearest.name}, the nearest, has {theirs}")


def _without(reason: str) -> UserError:
    return UserError(f"transformers has no model like this one ({reason}): use format=torch")
