"""Build a model from a config: the names in the config choose the classes."""

import dataclasses
from collections.abc import Callable, Collection
from importlib import import_module

from minitx.config.fields import as_typed
from minitx.config.options import idle_options
from minitx.config.schema import MIXERS, ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.classifier import Classifier
from minitx.models.decoders import RecurrentDecoder, TransformerDecoder
from minitx.models.embedding import TokenEmbedding
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import CrossAttention
from minitx.nn.blocks import Block, Stack, make_norm
from minitx.nn.feedforward import FeedForward
from minitx.nn.init import RECURRENT_EMBEDDING_STD, STD, initialise
from minitx.nn.mixers import Mixer, Shape, find_builder
from minitx.nn.positions import Learned, Sinusoidal
from minitx.nn.recurrent import RecurrentStack
from minitx.nn.recurrent_attention import ATTENTIONS

# Options that conf/model/transformer.yaml sets for attention, whatever the mixer is.
SET_BY_DEFAULT = {"heads", "kv_heads", "qk_norm"}


def language_model(config: ModelConfig, vocab_size: int) -> LanguageModel:
    """Return a newly initialised language model.

    Raises ValueError if the numbers of the config do not fit together (heads that do not divide
    dim, ...), or if a key has no effect on a language model.
    """
    _refuse(
        config,
        "a language model",
        ("share_embeddings", "bidirectional", "attention", "input_feeding", "pooling"),
    )
    model = LanguageModel(
        _embedding(config, vocab_size),
        _backbone(config, causal=True),
        config.context,
        tied=config.tie_embeddings,
        dropout=config.dropout,
    )
    # Small even with sinusoidal positions: a tied output must not start by repeating its input.
    recurrent = isinstance(config, RecurrentConfig)
    initialise(model, config.layers, RECURRENT_EMBEDDING_STD if recurrent else STD)
    return model


def sequence_to_sequence(config: ModelConfig, source_vocab: int, target_vocab: int) -> Seq2Seq:
    """Return a newly initialised encoder-decoder. Each half has `layers` layers.

    Raises ValueError if the numbers of the config do not fit together, if a key has no effect on
    the model, or if two different vocabularies are to share embeddings.
    """
    _refuse(config, "sequence to sequence", ("pooling",))
    if config.share_embeddings and source_vocab != target_vocab:
        raise ValueError(
            f"model.share_embeddings=true needs one vocabulary for both sides, but they have "
            f"{source_vocab} and {target_vocab} tokens"
        )
    source, target = _embedding(config, source_vocab), _embedding(config, target_vocab)
    if config.share_embeddings:
        target.table = source.table
    model = Seq2Seq(
        source,
        target,
        _backbone(config, causal=False, has_decoder=True),
        _decoder(config),
        config.context,
        tied=config.tie_embeddings,
        dropout=config.dropout,
    )
    initialise(model, config.layers, _embedding_std(config), glorot=True)
    return model


def classifier(config: ModelConfig, vocab_size: int, labels: int) -> Classifier:
    """Return a newly initialised classifier.

    Raises ValueError if the numbers of the config do not fit together, if a key has no effect on a
    classifier, or if `pooling` selects a position that has read one token only.
    """
    _refuse(config, "a classifier", ("share_embeddings", "attention", "input_feeding"))
    one_way = isinstance(config, RecurrentConfig) and config.bidirectional is False
    if one_way and config.pooling == "first":
        raise ValueError(
            "model.pooling=first takes the first position, which with model.bidirectional=false "
            "has read one token only; pool the mean, or read in both directions"
        )
    model = Classifier(
        _embedding(config, vocab_size),
        _backbone(config, causal=False),
        labels,
        pooling=config.pooling,
        dropout=config.dropout,
    )
    initialise(model, config.layers, _embedding_std(config), glorot=True)
    return model


def _refuse(config: ModelConfig, kind: str, needless: Collection[str]) -> None:
    """Raise ValueError if one of the needless keys is set: it would have no effect."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        # A key that is switched off, as it is by default, asks for nothing.
        if field.name in needless and value != field.default and (value or field.default):
            raise ValueError(
                f"model.{field.name}={value}: {kind} does not use this key; "
                f"set model.{field.name}={as_typed(field.default)}"
            )


def _backbone(
    config: ModelConfig, *, causal: bool, has_decoder: bool = False
) -> Stack | RecurrentStack:
    """Return the part that reads one sequence: a causal language model or an encoder."""
    if isinstance(config, TransformerConfig):
        idle = set(idle_options(config, cross_attention=has_decoder)) - SET_BY_DEFAULT
        _refuse(config, f"model.mixer={as_typed(config.mixer)}", idle)
        if "none" in config.mixers and not config.residual:
            raise ValueError("model.mixer=none gives zeros, so model.residual=false leaves nothing")
        if not config.feedforward:
            _refuse(config, "model.feedforward=false", ("ff_dim", "gated"))
        if config.position != "rotary":
            _refuse(config, f"model.position={config.position}", ("rotary_base",))
        return transformer_stack(config, causal=causal)
    if isinstance(config, RecurrentConfig):
        return RecurrentStack(
            config.dim,
            config.layers,
            config.cell,
            bidirectional=not causal and config.bidirectional is not False,
            dropout=config.dropout,
        )
    raise TypeError(f"no model is built from a {type(config).__name__}")


def _decoder(config: ModelConfig) -> TransformerDecoder | RecurrentDecoder:
    if isinstance(config, TransformerConfig):
        return TransformerDecoder(transformer_stack(config, causal=True, cross=True))
    if isinstance(config, RecurrentConfig):
        if config.input_feeding and config.attention == "none":
            raise ValueError(
                "model.input_feeding=true feeds back the output of attention, so it needs "
                "model.attention=additive or dot"
            )
        stack = RecurrentStack(
            config.dim,
            config.layers,
            config.cell,
            input_dim=2 * config.dim if config.input_feeding else None,
            dropout=config.dropout,
        )
        attention = None if config.attention == "none" else ATTENTIONS[config.attention](config.dim)
        return RecurrentDecoder(stack, attention, input_feeding=config.input_feeding)
    raise TypeError(f"no model is built from a {type(config).__name__}")


def _embedding(config: ModelConfig, vocab_size: int) -> TokenEmbedding:
    return TokenEmbedding(vocab_size, config.dim, _position(config), config.dropout)


def _embedding_std(config: ModelConfig) -> float:
    """Return the standard deviation of the embeddings of an encoder-decoder or a classifier."""
    if isinstance(config, RecurrentConfig):
        return RECURRENT_EMBEDDING_STD
    scaled = isinstance(config, TransformerConfig) and config.position == "sinusoidal"
    return config.dim**-0.5 if scaled else STD  # `TokenEmbedding` scales them to one


def _position(config: ModelConfig) -> Sinusoidal | Learned | None:
    """Return the positions that are added to the embeddings, or None."""
    if not isinstance(config, TransformerConfig):
        return None
    if config.position == "sinusoidal":
        return Sinusoidal(config.dim, config.context)
    return Learned(config.dim, config.context) if config.position == "learned" else None


def transformer_stack(config: TransformerConfig, *, causal: bool, cross: bool = False) -> Stack:
    """Return a stack of residual blocks, each with the mixer of its layer.

    With `cross`, the blocks are those of a decoder with cross-attention. Dropout applies to the
    outputs of sublayers (Vaswani et al. 2017, section 5.4). It does not apply to attention weights,
    because the fused kernel on CPUs does not support it.
    """
    factories = {name: mixer_factory(name, config, causal) for name in config.pattern}
    blocks = [
        Block(
            config.dim,
            factories[name](),
            _feed_forward(config) if config.feedforward else None,
            _cross_attention(config) if cross else None,
            norm=config.norm,
            norm_order=config.norm_order,
            dropout=config.dropout,
            residual=config.residual,
            norm_eps=config.norm_eps,
        )
        for name in config.mixers
    ]
    pre = config.norm_order == "pre"
    return Stack(blocks, make_norm(config.norm, config.dim, config.norm_eps) if pre else None)


def _feed_forward(config: TransformerConfig) -> FeedForward:
    return FeedForward(
        config.dim,
        config.ff_dim or 4 * config.dim,
        config.activation,
        gated=config.gated,
        bias=config.bias,
    )


def _cross_attention(config: TransformerConfig) -> CrossAttention:
    return CrossAttention(
        config.dim,
        config.heads,
        config.kv_heads,
        bias=config.bias,
        qk_norm=config.qk_norm,
        scaled=config.scaled,
    )


def mixer_factory(name: str, config: TransformerConfig, causal: bool) -> Callable[[], Mixer]:
    """Return a function that makes the mixer of one layer."""
    spec = MIXERS[name]
    import_module(spec.module)  # registers the mixer
    shape = Shape(
        config.dim, config.context, causal, config.position, config.bias, config.rotary_base
    )
    options = {
        option.name: getattr(config, option.name, option.default)
        for option in dataclasses.fields(spec.options)
    }
    return find_builder(name)(shape, **options)
