"""Test classifiers of every kind: padding has no effect, and pooling equals a hand calculation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.references import assert_close
from torch import nn

from minitx.config.schema import MIXERS, ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.build import classifier
from minitx.models.language_model import count_parameters

VOCAB, LABELS = 11, 3
SMALL = {"dim": 8, "layers": 2, "context": 16}

ENCODERS = {
    **{
        position: TransformerConfig(**SMALL, position=position)
        for position in ("sinusoidal", "learned", "rotary", "alibi", "none")
    },
    **{
        f"{mixer} as mixer": TransformerConfig(**SMALL, mixer=mixer)
        for mixer in MIXERS
        if mixer != "attention"
    },
    "hybrid": TransformerConfig(**SMALL, mixer=["lstm", "attention"], position="rotary"),
    "post": TransformerConfig(**SMALL, norm_order="post"),
    **{f"stacked {cell}": RecurrentConfig(**SMALL, cell=cell) for cell in ("lstm", "gru", "rnn")},
    "one way": RecurrentConfig(**SMALL, bidirectional=False),
}
POOLINGS = ["mean", "first"]
CONFIGS = {
    (name, pooling): (config, pooling)
    for name, config in ENCODERS.items()
    for pooling in POOLINGS
    if (name, pooling) != ("one way", "first")
}
every_model = pytest.mark.parametrize("name", CONFIGS, ids=", ".join)


def make_model(name):
    """In eval mode, with larger weights than a fresh model has, so that every part of it shows."""
    torch.manual_seed(0)
    config, pooling = CONFIGS[name]
    config.pooling = pooling
    model = classifier(config, VOCAB, LABELS)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.eval()


@every_model
@settings(deadline=None, max_examples=5)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3), extra=st.integers(0, 2))
def test_padding_changes_no_logits(name, lengths, extra):
    model, time = make_model(name), max(lengths) + extra
    tokens = torch.randint(VOCAB, (len(lengths), time))
    logits = model(tokens, torch.arange(time) < torch.tensor(lengths)[:, None])
    assert logits.shape == (len(lengths), LABELS)
    for row, length in enumerate(lengths):
        assert_close(logits[row : row + 1], model(tokens[row : row + 1, :length]))


@every_model
def test_the_encoding_is_pooled(name):
    model = make_model(name)
    tokens = torch.randint(VOCAB, (1, 4))
    encoded, _ = model.encoder(model.embedding(tokens))  # (1, 4, C)
    pooled = encoded[0].mean(dim=0) if name[1] == "mean" else encoded[0, 0]
    assert_close(model(tokens)[0], model.to_labels(pooled))


@every_model
def test_every_token_counts(name):
    model = make_model(name)
    embedded = []
    model.embedding.register_forward_hook(lambda *call: embedded.append(call[-1]))
    padding = torch.tensor([[True, True, True, False], [True, False, False, False]])
    logits = model(torch.randint(VOCAB, (2, 4)), padding)
    (gradient,) = torch.autograd.grad(logits, embedded, torch.randn_like(logits))
    seen = padding.clone()
    if name == ("none as mixer", "first"):
        seen[:, 1:] = False
    assert ((gradient != 0).any(dim=-1) == seen).all()


@every_model
def test_every_parameter_gets_a_gradient(name):
    model = make_model(name)
    model(torch.randint(VOCAB, (2, 6))).square().mean().backward()
    idle = ["key.bias"]  # it moves all scores of a query alike
    if name[0] == "none as mixer":  # it lets nothing through from the norm before it
        idle += ["mixer_residual.norm.weight", "mixer_residual.norm.bias"]
    if name[1] == "first":  # where the last layer's forward direction has read one token only
        idle += ["layers.1.cell.weight_hh_l0", "layers.1.mixer.cell.weight_hh_l0"]
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        if not parameter_name.endswith(tuple(idle)):
            assert (parameter.grad != 0).any(), parameter_name


@every_model
def test_a_text_without_a_real_token_leaves_no_nan(name):
    model = make_model(name)
    logits = model(torch.zeros(2, 3, dtype=torch.long), torch.tensor([[True] * 3, [False] * 3]))
    logits.square().mean().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_what_is_pooled_is_dropped_out():
    model = classifier(TransformerConfig(**SMALL, dropout=0.5), VOCAB, LABELS)
    model.dropout.p = 1.0
    assert torch.equal(model(torch.zeros(2, 3, dtype=torch.long)), torch.zeros(2, LABELS))


# A block has 872 numbers, a norm 16, each gate of a direction 56; see test_seq2seq.py.
@pytest.mark.parametrize(
    ("config", "hidden"),
    [
        (TransformerConfig(**SMALL), 2 * 872 + 16),
        (RecurrentConfig(**SMALL), 2 * 4 * 2 * 56),
        (RecurrentConfig(**SMALL, bidirectional=False), 2 * 4 * 144),
    ],
)
def test_parameters_counted_by_hand(config, hidden):
    hidden += LABELS * 8 + LABELS
    assert count_parameters(classifier(config, VOCAB, LABELS)) == (hidden + VOCAB * 8, hidden)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RecurrentConfig(**SMALL, attention="dot"), "attention=dot: a classifier does not use"),
        (RecurrentConfig(**SMALL, input_feeding=True), "input_feeding=True: a classifier does not"),
        (TransformerConfig(**SMALL, share_embeddings=True), "share_embeddings=True: a classifier"),
        (
            RecurrentConfig(**SMALL, pooling="first", bidirectional=False),
            "has read one token only",
        ),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        classifier(config, VOCAB, LABELS)


def test_a_config_that_names_no_model_is_refused():
    with pytest.raises(TypeError, match="ModelConfig"):
        classifier(ModelConfig(**SMALL), VOCAB, LABELS)
