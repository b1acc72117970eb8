"""From a config to a model: the one place where names choose classes."""

from collections.abc import Callable

from torch import nn

from minitx.config import ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.language_model import LanguageModel
from minitx.nn.attention import SelfAttention, check_divides
from minitx.nn.blocks import NORMS, Block, Stack
from minitx.nn.controls import Average, NoMixing
from minitx.nn.feedforward import FeedForward
from minitx.nn.init import RECURRENT_EMBEDDING_STD, STD, initialise
from minitx.nn.positions import ALiBi, Learned, Rotary, Sinusoidal
from minitx.nn.recurrent import Recurrence, RecurrentStack


def language_model(config: ModelConfig, vocab_size: int) -> LanguageModel:
    """The language model that the config names, freshly initialised.

    Raises ValueError where its numbers do not fit together (heads that do not divide dim, ...).
    """
    backbone: nn.Module
    position, embedding_std = None, STD
    if isinstance(config, TransformerConfig):
        backbone = transformer_stack(config, causal=True)
        if config.position in ("sinusoidal", "learned"):
            kind = Sinusoidal if config.position == "sinusoidal" else Learned
            position = kind(config.dim, config.context)
    elif isinstance(config, RecurrentConfig):
        backbone = RecurrentStack(config.dim, config.layers, config.cell, dropout=config.dropout)
        embedding_std = RECURRENT_EMBEDDING_STD
    else:
        raise TypeError(f"no language model is built from a {type(config).__name__}")
    model = LanguageModel(
        vocab_size,
        config.dim,
        config.context,
        backbone,
        position=position,
        tied=config.tied,
        dropout=config.dropout,
    )
    initialise(model, config.layers, embedding_std)
    return model


def transformer_stack(config: TransformerConfig, *, causal: bool) -> Stack:
    """Residual blocks around the mixer that the config names."""
    mixer = _mixer_factory(config, causal)
    blocks = [
        Block(
            config.dim,
            mixer(),
            FeedForward(
                config.dim,
                config.ff_dim or 4 * config.dim,
                config.activation,
                gated=config.gated,
                bias=config.bias,
                dropout=config.dropout,
            ),
            norm=config.norm,
            norm_order=config.norm_order,
            dropout=config.dropout,
        )
        for _ in range(config.layers)
    ]
    return Stack(blocks, NORMS[config.norm](config.dim) if config.norm_order == "pre" else None)


def _mixer_factory(config: TransformerConfig, causal: bool) -> Callable[[], nn.Module]:
    """A function that makes one more mixer; rotary and ALiBi tables are shared between them."""
    if config.mixer == "average":
        return lambda: Average(config.dim, causal=causal, bias=config.bias)
    if config.mixer == "none":
        return NoMixing
    if config.mixer != "attention":
        return lambda: Recurrence(config.dim, config.mixer, bidirectional=not causal)

    check_divides("heads", config.heads, "dim", config.dim)  # before positions need a head's width
    position: Rotary | ALiBi | None = None
    if config.position == "rotary":
        position = Rotary(config.dim // config.heads, config.context)
    elif config.position == "alibi":
        position = ALiBi(config.heads)
    return lambda: SelfAttention(
        config.dim,
        config.heads,
        config.kv_heads,
        causal=causal,
        window=config.window,
        position=position,
        bias=config.bias,
        dropout=config.dropout,
        qk_norm=config.qk_norm,
    )
