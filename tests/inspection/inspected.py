"""Runs of small models of every objective, with random weights, as if loaded from a checkpoint."""

from pathlib import Path

import torch
from torch import nn

from minitx.config.schema import (
    Config,
    DecodingConfig,
    RecurrentConfig,
    TaskConfig,
    TransformerConfig,
)
from minitx.data.tokenizers.sequence import train_sequence_tokenizer
from minitx.data.tokenizers.text import train_tokenizer
from minitx.runs.run import StoredRun
from minitx.runs.vocabulary import LabelVocabulary, PairVocabulary, TextVocabulary

SMALL = {"dim": 8, "layers": 2, "context": 16}
WORDS = "one two three four five six seven"
LABELS = ("fruit", "animal", "tool")

TEXTS = TextVocabulary(train_tokenizer("char", 0, ["abcdefgh ."]))
PAIRS = PairVocabulary(
    train_sequence_tokenizer("char", 0, ["abcdefgh"]),
    train_sequence_tokenizer("word", 100, [WORDS]),
)
LABELLED = LabelVocabulary(train_sequence_tokenizer("word", 100, [WORDS]), LABELS)

TASKS = {TextVocabulary: "shakespeare", PairVocabulary: "cmudict", LabelVocabulary: "genre"}


def randomise(model):
    """In eval mode, with larger weights than a fresh model has, so that every part of it shows."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.eval()


def make_run(vocabulary, config, model=None):
    """Of the model that the config names, or of another one; it searches greedily."""
    return StoredRun(
        model=randomise(vocabulary.build(config) if model is None else model),
        vocabulary=vocabulary,
        config=Config(
            task=TaskConfig(name=TASKS[type(vocabulary)]),
            model=config,
            decoding=DecodingConfig(beam=1, max_length=6),
        ),
        path=Path("runs/7/checkpoints/best.ckpt"),
        step=9000,
        data_fingerprint="",
        device=torch.device("cpu"),
    )


def transformer(**changes):
    return TransformerConfig(name="transformer", **{**SMALL, **changes})


def lstm(**changes):
    return RecurrentConfig(name="lstm", **{**SMALL, **changes})
