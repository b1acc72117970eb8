"""From a config to a model: the one place where names choose classes."""

import dataclasses
from collections.abc import Callable

from torch import nn

from minitx.config.schema import ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.classifier import Classifier
from minitx.models.decoders import RecurrentDecoder, TransformerDecoder
from minitx.models.embedding import TokenEmbedding
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.attention import CrossAttention, SelfAttention, check_divides
from minitx.nn.baseline_mixers import Average, NoMixing
from minitx.nn.blocks import NORMS, Block, Stack
from minitx.nn.feedforward import FeedForward
from minitx.nn.init import RECURRENT_EMBEDDING_STD, STD, initialise
from minitx.nn.positions import ALiBi, Learned, Rotary, Sinusoidal
from minitx.nn.recurrent import Recurrence, RecurrentStack
from minitx.nn.recurrent_attention import ATTENTIONS


def language_model(config: ModelConfig, vocab_size: int) -> LanguageModel:
    """The language model that the config names, freshly initialised.

    Raises ValueError where its numbers do not fit together (heads that do not divide dim, ...), or
    for a key that asks for what no language model has.
    """
    needless = ("share_embeddings", "bidirectional", "attention", "input_feeding", "pooling")
    _refuse(config, "a language model", needless)
    model = LanguageModel(
        _embedding(config, vocab_size),
        _backbone(config, causal=True),
        config.context,
        tied=config.tie_embeddings,
        dropout=config.dropout,
    )
    # Small beside the sines too: a tied output must not start by repeating the token just read.
    recurrent = isinstance(config, RecurrentConfig)
    initialise(model, config.layers, RECURRENT_EMBEDDING_STD if recurrent else STD)
    return model


def sequence_to_sequence(config: ModelConfig, source_vocab: int, target_vocab: int) -> Seq2Seq:
    """The encoder-decoder that the config names, each half `layers` deep, freshly initialised.

    Raises ValueError where its numbers do not fit together, for a key that asks for what it does
    not have, or where two vocabularies are to share their embeddings.
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
        _backbone(config, causal=False, attended=True),
        _decoder(config),
        config.context,
        tied=config.tie_embeddings,
        dropout=config.dropout,
    )
    initialise(model, config.layers, _embedding_std(config), glorot=True)
    return model


def classifier(config: ModelConfig, vocab_size: int, labels: int) -> Classifier:
    """The classifier that the config names, freshly initialised.

    Raises ValueError where its numbers do not fit together, for a key that asks for what it does
    not have, or where `pooling` takes what has read one token only.
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


def _refuse(config: ModelConfig, kind: str, needless: tuple[str, ...]) -> None:
    """Raises ValueError where one of these keys asks for something: it would be ignored."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        # What is off where nothing is the default asks for nothing.
        if field.name in needless and value != field.default and (value or field.default):
            raise ValueError(f"model.{field.name}={value}: {kind} has no use for it, leave it out")


def _backbone(
    config: ModelConfig, *, causal: bool, attended: bool = False
) -> Stack | RecurrentStack:
    """What reads one sequence: an encoder, perhaps `attended`, or a `causal` language model."""
    if isinstance(config, TransformerConfig):
        if config.mixer != "attention":
            needless = ("window",) if attended else ("window", "scaled")
            _refuse(config, f"model.mixer={config.mixer}", needless)
        if config.mixer == "none" and not config.residual:
            raise ValueError("model.mixer=none gives zeros, so model.residual=false leaves nothing")
        if not config.feedforward:
            _refuse(config, "model.feedforward=false", ("ff_dim", "gated"))
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
                "model.input_feeding=true feeds back what attention found, so it needs "
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
    """How large embeddings start where `TokenEmbedding` scales those that sines are added to."""
    if isinstance(config, RecurrentConfig):
        return RECURRENT_EMBEDDING_STD
    scaled = isinstance(config, TransformerConfig) and config.position == "sinusoidal"
    return config.dim**-0.5 if scaled else STD  # so that they are of size one beside the sines


def _position(config: ModelConfig) -> Sinusoidal | Learned | None:
    """Positions that are added to the embeddings, if the config names such."""
    if not isinstance(config, TransformerConfig):
        return None
    if config.position == "sinusoidal":
        return Sinusoidal(config.dim, config.context)
    return Learned(config.dim, config.context) if config.position == "learned" else None


def transformer_stack(config: TransformerConfig, *, causal: bool, cross: bool = False) -> Stack:
    """Residual blocks around the mixer that the config names; a decoder's with cross-attention.

    Dropout falls on what sublayers add to the stream (Vaswani et al. 2017, section 5.4), and not
    on attention weights, whose fused kernel on CPUs knows none.
    """
    mixer = _mixer_factory(config, causal)
    blocks = [
        Block(
            config.dim,
            mixer(),
            _feed_forward(config) if config.feedforward else None,
            _cross_attention(config) if cross else None,
            norm=config.norm,
            norm_order=config.norm_order,
            dropout=config.dropout,
            residual=config.residual,
        )
        for _ in range(config.layers)
    ]
    return Stack(blocks, NORMS[config.norm](config.dim) if config.norm_order == "pre" else None)


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
        qk_norm=config.qk_norm,
        scaled=config.scaled,
    )
