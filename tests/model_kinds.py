"""A small model of every kind, for the tests that apply to any model."""

from torch import nn

from minitx.config.schema import MIXERS, RecurrentConfig, TransformerConfig
from minitx.models.build import language_model

VOCAB = 11
CONTEXT = 8
SMALL = {"dim": 8, "layers": 2, "context": CONTEXT}

CONFIGS = {
    **{
        f"attention, {position}": TransformerConfig(**SMALL, position=position)
        for position in ("sinusoidal", "learned", "rotary", "alibi", "none")
    },
    **{
        f"{mixer} as mixer": TransformerConfig(**SMALL, mixer=mixer, position="learned")
        for mixer in MIXERS
        if mixer != "attention"
    },
    "hybrid": TransformerConfig(**SMALL, mixer=["gru", "attention"], position="rotary"),
    "window": TransformerConfig(**SMALL, window=3),
    "kv_heads": TransformerConfig(**SMALL, kv_heads=2, position="rotary"),
    "recipe": TransformerConfig(
        **SMALL, position="rotary", norm="rmsnorm", qk_norm=True, activation="relu2", bias=False
    ),
    "gated, post": TransformerConfig(**SMALL, norm_order="post", activation="silu", gated=True),
    "untied": TransformerConfig(**SMALL, position="learned", tie_embeddings=False),
    **{f"stacked {cell}": RecurrentConfig(**SMALL, cell=cell) for cell in ("lstm", "gru", "rnn")},
    "stacked lstm, untied": RecurrentConfig(**SMALL, cell="lstm", tie_embeddings=False),
}


def make_model(name, std=0.4):
    """In eval mode, with larger weights than a fresh model has, so that every part of it shows."""
    model = language_model(CONFIGS[name], VOCAB)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std)
    return model.eval()
