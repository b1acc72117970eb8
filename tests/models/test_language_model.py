"""Test whole language models of every kind: no future, no padding, one state, and their sizes."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitx.config import schema
from minitx.config.schema import ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.build import language_model
from minitx.models.language_model import count_parameters
from minitx.nn.activations import relu2
from minitx.nn.attention import SelfAttention
from minitx.nn.feedforward import FeedForward
from minitx.nn.init import RECURRENT_EMBEDDING_STD, STD
from minitx.nn.norms import RMSNorm

VOCAB = 11
SMALL = {"dim": 8, "layers": 2, "context": 16}

POSITIONS = ["sinusoidal", "learned", "rotary", "alibi", "none"]
CELLS = ["lstm", "gru", "rnn"]
MIXERS = [name for name in schema.MIXERS if name != "attention"]

CONFIGS = {
    **{f"attention, {name}": TransformerConfig(**SMALL, position=name) for name in POSITIONS},
    **{
        f"{mixer}, {position}": TransformerConfig(**SMALL, mixer=mixer, position=position)
        for mixer in MIXERS
        for position in ["learned", "none"]  # rotary and ALiBi act inside attention only
    },
    "window": TransformerConfig(**SMALL, window=3),
    "window, alibi": TransformerConfig(**SMALL, window=3, position="alibi"),
    "kv_heads": TransformerConfig(**SMALL, kv_heads=2, position="rotary"),
    "post": TransformerConfig(**SMALL, norm_order="post"),
    "unscaled": TransformerConfig(**SMALL, scaled=False),
    "no residual": TransformerConfig(**SMALL, residual=False),
    "no feed-forward": TransformerConfig(**SMALL, feedforward=False),
    "modern": TransformerConfig(
        **SMALL,
        position="rotary",
        norm="rmsnorm",
        qk_norm=True,
        activation="silu",
        gated=True,
        bias=False,
    ),
    **{f"stacked {cell}": RecurrentConfig(**SMALL, cell=cell) for cell in CELLS},
}

every_model = pytest.mark.parametrize("name", CONFIGS)
tied_or_not = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
few_examples = settings(deadline=None, max_examples=6)


def make_model(name):
    """With larger weights than a fresh model has, so that every part of it shows."""
    torch.manual_seed(0)
    model = language_model(CONFIGS[name], VOCAB)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model


def assert_close(actual, expected):
    """To 1e-5, or where logits are larger than one to 1e-5 of the largest."""
    atol = 1e-5 * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


@every_model
def test_no_gradient_comes_from_a_later_token(name):
    model, time = make_model(name), 5
    embedded = []
    model.embedding.table.register_forward_hook(lambda *call: embedded.append(call[-1]))
    logits, _ = model(torch.randint(VOCAB, (2, time)))
    for t in range(time):
        (gradient,) = torch.autograd.grad(logits[:, t].sum(), embedded, retain_graph=True)
        assert (gradient[:, t + 1 :] == 0).all()
        assert (gradient[:, t] != 0).any()
    assert (gradient[:, 0] != 0).any() == (not name.startswith("none"))


@every_model
def test_a_later_token_changes_no_logits(name):
    model, time = make_model(name), 6
    tokens = torch.randint(VOCAB, (2, time))
    logits, _ = model(tokens)
    for t in range(1, time):
        other = tokens.clone()
        other[:, t:] = (other[:, t:] + 1) % VOCAB
        other_logits, _ = model(other)
        assert torch.equal(other_logits[:, :t], logits[:, :t])
        assert not torch.allclose(other_logits[:, t:], logits[:, t:])


@every_model
@few_examples
@given(lengths=st.lists(st.integers(0, 7), min_size=1, max_size=3))
def test_padding_changes_no_logits(name, lengths):
    model, time = make_model(name), 8
    tokens = torch.randint(VOCAB, (len(lengths), time))
    padding = torch.arange(time) < torch.tensor(lengths)[:, None]
    logits, _ = model(tokens, padding)
    assert logits.isfinite().all()
    for row, length in enumerate(lengths):
        if length:
            alone, _ = model(tokens[row : row + 1, :length])
            assert_close(logits[row : row + 1, :length], alone)


@pytest.mark.parametrize(
    "name",
    ["attention, rotary", "attention, alibi", "attention, none", "window, alibi", "average, none"],
)
def test_nor_does_padding_in_front_where_positions_are_relative(name):
    model = make_model(name)
    tokens = torch.randint(VOCAB, (2, 8))
    padding = torch.arange(8) >= torch.tensor([[0], [3]])
    logits, _ = model(tokens, padding)
    alone, _ = model(tokens[1:, 3:])
    assert_close(logits[1:, 3:], alone)


@every_model
@few_examples
@given(pieces=st.lists(st.integers(1, 4), min_size=2, max_size=4), padded=st.booleans())
def test_in_pieces_as_in_one_go(name, pieces, padded):
    model, time = make_model(name), sum(pieces)
    tokens = torch.randint(VOCAB, (2, time))
    lengths = torch.tensor([[time], [time // 2]])
    padding = torch.arange(time) < lengths if padded else torch.ones(2, time, dtype=torch.bool)

    state, outputs = None, []
    for tokens_here, padding_here in zip(
        tokens.split(pieces, dim=1), padding.split(pieces, dim=1), strict=True
    ):
        logits, state = model(tokens_here, padding_here if padded else None, state)
        outputs.append(logits)
    assert state.past == time
    assert_close(torch.cat(outputs, dim=1), model(tokens, padding if padded else None)[0])


@every_model
def test_every_parameter_gets_a_gradient(name):
    model = make_model(name)
    logits, _ = model(torch.randint(VOCAB, (2, 6)))
    logits.square().mean().backward()
    # Two kinds of weight may have no effect: a bias of the keys, which moves all scores of a query
    # alike, and the norm before a mixer that lets nothing through. Even they have a gradient.
    idle = ("key.bias", "mixer_residual.norm") if name.startswith("none") else ("key.bias",)
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        if not any(part in parameter_name for part in idle):
            assert (parameter.grad != 0).any(), parameter_name


@every_model
def test_a_state_dict_makes_another_model_the_same(name):
    model = make_model(name)
    other = language_model(CONFIGS[name], VOCAB)
    other.load_state_dict(model.state_dict())
    tokens = torch.randint(VOCAB, (2, 6))
    assert torch.equal(other(tokens)[0], model(tokens)[0])


@tied_or_not
@pytest.mark.parametrize("kind", [TransformerConfig, RecurrentConfig])
def test_tied_embeddings_are_one_parameter(kind, tied):
    model = language_model(kind(**SMALL, tie_embeddings=tied), VOCAB)
    assert (model.to_logits.weight is model.embedding.table.weight) == tied
    tables = [p for p in model.parameters() if p.shape == (VOCAB, SMALL["dim"])]
    assert len(tables) == (1 if tied else 2)


# Per block of a Transformer with dim 8, ff_dim 32 (4 * dim):
#   attention      4 * (8 * 8 + 8)                = 288
#   feed-forward   (8 * 32 + 32) + (32 * 8 + 8)   = 552
#   two norms      2 * (8 + 8)                    =  32
# and a final norm of 16 after the two blocks: 2 * (288 + 552 + 32) + 16 = 1760.
# Each gate of a recurrence: 8 * 8 + 8 * 8 + 8 + 8 = 144; an RNN has 1, a GRU 3, an LSTM 4.
@tied_or_not
@pytest.mark.parametrize(
    ("config", "hidden"),
    [
        (TransformerConfig(**SMALL), 1760),
        (TransformerConfig(**SMALL, norm_order="post"), 1760 - 16),
        # Without biases 2 * (4 * 8 + 32 + 8) fewer, not counting those of the layer norms.
        (TransformerConfig(**SMALL, bias=False), 1760 - 144),
        # Half the key/value heads: 2 * 2 * (4 * 8 + 4) fewer.
        (TransformerConfig(**SMALL, kv_heads=2), 1760 - 144),
        # Without the feed-forward its norm goes too.
        (TransformerConfig(**SMALL, feedforward=False), 1760 - 2 * (552 + 16)),
        (TransformerConfig(**SMALL, scaled=False, residual=False), 1760),
        # A gate is a third matrix of the feed-forward.
        (TransformerConfig(**SMALL, gated=True), 1760 + 2 * (8 * 32 + 32)),
        # Average keeps values and output of attention, half of it.
        (TransformerConfig(**SMALL, mixer="average"), 1760 - 2 * 144),
        (TransformerConfig(**SMALL, mixer="none"), 1760 - 2 * 288),
        (TransformerConfig(**SMALL, mixer="lstm"), 1760 - 2 * 288 + 2 * 4 * 144),
        (RecurrentConfig(**SMALL, cell="rnn"), 2 * 144),
        (RecurrentConfig(**SMALL, cell="gru"), 2 * 3 * 144),
        (RecurrentConfig(**SMALL, cell="lstm"), 2 * 4 * 144),
    ],
)
def test_parameters_counted_by_hand(config, hidden, tied):
    config.tie_embeddings = tied
    tables = VOCAB * 8 * (1 if tied else 2)
    assert count_parameters(language_model(config, VOCAB)) == (hidden + tables, hidden)


def test_frozen_parameters_are_not_counted():
    model = language_model(RecurrentConfig(**SMALL, cell="rnn"), VOCAB)
    model.embedding.table.requires_grad_(False)
    assert count_parameters(model) == (2 * 144, 2 * 144)


def test_a_transformer_follows_its_config():
    config = TransformerConfig(
        **SMALL, window=3, dropout=0.25, norm="rmsnorm", qk_norm=True, activation="relu2"
    )
    model = language_model(config, VOCAB)
    modules = list(model.modules())
    assert {type(m) for m in modules if "Norm" in type(m).__name__} == {RMSNorm}
    dropped = [m.p for m in modules if isinstance(m, nn.Dropout)]
    # Of embeddings, before logits, and of what sublayers add.
    assert dropped == (2 + 2 * 2) * [0.25]
    attentions = [m for m in modules if isinstance(m, SelfAttention)]
    assert [(m.causal, m.window, m.dropout) for m in attentions] == 2 * [(True, 3, 0)]
    assert all(isinstance(m.query_norm, RMSNorm) for m in attentions)
    assert {m.activation for m in modules if isinstance(m, FeedForward)} == {relu2}


def test_what_writes_into_the_stream_starts_smaller_in_a_deeper_model():
    torch.manual_seed(0)
    config = TransformerConfig(dim=64, layers=8)
    for block in language_model(config, VOCAB).backbone.layers:
        for linear in block.mixer.output, block.feed_forward.down:
            assert linear.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.1)


@tied_or_not
@pytest.mark.parametrize(
    ("config", "std"),
    [
        (TransformerConfig(dim=128, position="rotary"), STD),
        (TransformerConfig(dim=128, position="sinusoidal"), STD),
        (RecurrentConfig(dim=128), RECURRENT_EMBEDDING_STD),
    ],
)
def test_embeddings_start_by_the_kind_of_model(config, std, tied):
    torch.manual_seed(0)
    config = dataclasses.replace(config, tie_embeddings=tied)
    model = language_model(config, vocab_size=100)  # 12,800 numbers: within 3 %
    assert model.embedding.table.weight.std().item() == pytest.approx(std, rel=0.03)
    assert model.to_logits.weight.std().item() == pytest.approx(std if tied else STD, rel=0.03)


@pytest.mark.parametrize("position", ["sinusoidal", "learned", "rotary"])
def test_text_beyond_the_context_is_refused(position):
    model = language_model(TransformerConfig(**SMALL, position=position), VOCAB)
    _, state = model(torch.zeros(1, 16, dtype=torch.long))
    with pytest.raises(ValueError, match=r"position 17.*context is 16"):
        model(torch.zeros(1, 1, dtype=torch.long), state=state)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="heads=3 does not divide dim=8"):
        language_model(TransformerConfig(**SMALL, heads=3), VOCAB)


@pytest.mark.parametrize(
    "needless",
    [
        {"bidirectional": True},
        {"attention": "dot"},
        {"input_feeding": True},
        {"pooling": "first"},
        {"share_embeddings": True},
    ],
)
def test_what_no_language_model_has_is_refused(needless):
    ((key, value),) = needless.items()
    with pytest.raises(ValueError, match=rf"model\.{key}={value}: a language model does not use"):
        language_model(RecurrentConfig(**SMALL, **needless), VOCAB)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"mixer": "lstm", "scaled": False},
            "scaled=False: model.mixer=lstm does not use this key",
        ),
        (
            {"mixer": "lstm", "window": 3},
            "window=3: model.mixer=lstm does not use this key; set model.window=null",
        ),
        (
            {"position": "learned", "rotary_base": 500.0},
            "rotary_base=500.0: model.position=learned does not use this key",
        ),
        ({"feedforward": False, "ff_dim": 9}, "ff_dim=9: model.feedforward=false does not use"),
        ({"feedforward": False, "gated": True}, "gated=True: model.feedforward=false does not use"),
        ({"mixer": "none", "residual": False}, "model.residual=false leaves nothing"),
    ],
)
def test_what_would_be_ignored_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        language_model(TransformerConfig(**SMALL, **config), VOCAB)


def test_one_direction_may_be_said_aloud():
    language_model(RecurrentConfig(**SMALL, bidirectional=False), VOCAB)


@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm"])
def test_every_norm_has_the_epsilon_of_the_config(norm):
    model = language_model(TransformerConfig(**SMALL, norm=norm, norm_eps=0.25), VOCAB)
    norms = [part for part in model.modules() if isinstance(part, (nn.LayerNorm, RMSNorm))]
    assert [part.eps for part in norms] == [0.25] * 5


def test_a_config_that_names_no_model_is_refused():
    with pytest.raises(TypeError, match="ModelConfig"):
        language_model(ModelConfig(**SMALL), VOCAB)


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith("stacked")])
def test_a_fresh_transformer_guesses_evenly(name):
    torch.manual_seed(0)
    logits, _ = language_model(CONFIGS[name], VOCAB)(torch.randint(VOCAB, (2, 16)))
    assert (logits.softmax(dim=-1) * VOCAB).sub(1).abs().max() < 0.3
