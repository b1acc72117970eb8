"""A small encoder-decoder of every kind."""

import torch
from torch import nn

from minitx.config.schema import MIXERS, RecurrentConfig, TransformerConfig
from minitx.models.build import sequence_to_sequence

SOURCE, TARGET = 13, 11  # vocabularies
SMALL = {"dim": 8, "layers": 2, "context": 16}

CONFIGS = {
    **{
        position: TransformerConfig(**SMALL, position=position)
        for position in ("sinusoidal", "learned", "rotary", "alibi", "none")
    },
    **{
        f"{mixer} as mixer": TransformerConfig(**SMALL, mixer=mixer, position="learned")
        for mixer in MIXERS
        if mixer != "attention"
    },
    "hybrid": TransformerConfig(**SMALL, mixer=["attention", "lstm"], position="alibi"),
    "window": TransformerConfig(**SMALL, window=2),
    "kv_heads": TransformerConfig(**SMALL, kv_heads=2),
    "post": TransformerConfig(**SMALL, norm_order="post"),
    "unscaled": TransformerConfig(**SMALL, scaled=False),
    # Its cross-attention has scores, whatever the mixer.
    "unscaled, lstm as mixer": TransformerConfig(**SMALL, mixer="lstm", scaled=False),
    "no feed-forward": TransformerConfig(**SMALL, feedforward=False),
    "modern": TransformerConfig(
        **SMALL, position="rotary", norm="rmsnorm", qk_norm=True, gated=True, bias=False
    ),
    **{
        f"{cell}, {attention}": RecurrentConfig(**SMALL, cell=cell, attention=attention)
        for cell in ("lstm", "gru", "rnn")
        for attention in ("none", "additive", "dot")
    },
    "one way": RecurrentConfig(**SMALL, attention="dot", bidirectional=False),
    **{
        f"{cell}, fed": RecurrentConfig(
            **SMALL, cell=cell, attention="additive", input_feeding=True
        )
        for cell in ("lstm", "gru")
    },
}


def make_model(name):
    """In eval mode, with larger weights than a fresh model has, so that every part of it shows."""
    torch.manual_seed(0)
    model = sequence_to_sequence(CONFIGS[name], SOURCE, TARGET)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.eval()
