"""The mixers, by name: the options of each, and the module that implements it.

A mixer moves information between positions. To add one, write its module under `minitx/nn`, which
registers it (see `minitx.nn.mixers`), and declare it in `BUILT_IN`. The fields of
its options become keys of a Transformer: `expansion` is set by `model.expansion=2`.

Nothing here imports torch, so that `--help`, completion and the checks stay fast.
"""

from dataclasses import dataclass

from minitx.config.fields import key


@dataclass
class NoOptions:
    """The options of a mixer that has none."""


@dataclass
class HeadOptions:
    """The options of every mixer that has heads."""

    heads: int = key(4, "heads of a mixer; must divide dim", minimum=1)


@dataclass
class CrossAttentionOptions(HeadOptions):
    """The options of the attention in which a decoder reads its source."""

    kv_heads: int | None = key(None, "key/value heads; must divide heads [heads]", minimum=1)
    qk_norm: bool = key(False, "normalise each head's queries and keys")
    scaled: bool = key(True, "divide attention's scores by sqrt(dim / heads)")


@dataclass
class AttentionOptions(CrossAttentionOptions):
    """The options of self-attention."""

    window: int | None = key(None, "attend to this many latest tokens only [all]", minimum=1)


@dataclass
class MinimalRecurrenceOptions:
    """The options of a minGRU and of a minLSTM."""

    expansion: int = key(
        1, "width of the states or values of a recurrence, in dims", minimum=1, maximum=1_000
    )


@dataclass
class ConvolutionOptions:
    """The options of a mixer that begins with a short convolution."""

    convolution: int = key(4, "tokens that a short convolution reads", minimum=1, maximum=1_000)


@dataclass
class GatedDeltaNetOptions(MinimalRecurrenceOptions, ConvolutionOptions, HeadOptions):
    """The options of a gated DeltaNet."""

    negative_eigenvalues: bool = key(
        False, "gated_deltanet: a step may change the sign of what the memory holds"
    )


@dataclass
class StateOptions(HeadOptions):
    """The options of a mixer whose heads have a matrix of a chosen height as their state."""

    state_dim: int | None = key(
        None,
        "features of a key, the rows of a state [mamba2: 64; gated_linear: dim / heads / 2]",
        minimum=1,
        maximum=1_000_000,
    )


@dataclass
class GatedLinearOptions(ConvolutionOptions, StateOptions):
    """The options of gated linear attention."""

    decay: str = key(
        "gated",
        "gated_linear: decays that depend on the token, or fixed ones as in RetNet",
        choices=("gated", "fixed"),
    )


@dataclass
class Mamba2Options(MinimalRecurrenceOptions, ConvolutionOptions, StateOptions):
    """The options of Mamba2."""


@dataclass(frozen=True)
class MixerSpec:
    """The declaration of a mixer.

    `options` is a dataclass of keys. `module` registers the mixer under its `name` when it is
    imported. `positions` are the values of model.position that act inside this mixer.
    """

    name: str
    module: str
    options: type = NoOptions
    positions: tuple[str, ...] = ()


RECURRENCE = "minitx.nn.recurrent"
MINIMAL = "minitx.nn.minimal_recurrences"
DELTANET = "minitx.nn.gated_deltanet"
BASELINES = "minitx.nn.baseline_mixers"

BUILT_IN = (
    MixerSpec("attention", "minitx.nn.attention", AttentionOptions, positions=("rotary", "alibi")),
    MixerSpec("lstm", RECURRENCE),
    MixerSpec("gru", RECURRENCE),
    MixerSpec("rnn", RECURRENCE),
    MixerSpec("mingru", MINIMAL, MinimalRecurrenceOptions),
    MixerSpec("minlstm", MINIMAL, MinimalRecurrenceOptions),
    MixerSpec("gated_linear", "minitx.nn.gated_linear", GatedLinearOptions),
    MixerSpec("mamba2", "minitx.nn.mamba2", Mamba2Options),
    MixerSpec("gated_deltanet", DELTANET, GatedDeltaNetOptions),
    MixerSpec("average", BASELINES),
    MixerSpec("none", BASELINES),
)
