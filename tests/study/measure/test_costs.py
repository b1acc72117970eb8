"""Test operations against torch's counter and by hand, and that latencies are numbers."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minitx.config.schema import RecurrentConfig, TransformerConfig
from minitx.models.build import classifier, language_model, sequence_to_sequence
from minitx.nn.attention import MultiHeadAttention
from minitx.nn.tree import map_tensors
from minitx.study.measure.costs import latency_ms, operations_per_token, state_size

VOCAB, LABELS, TIME = 11, 5, 12
SMALL = {"dim": 8, "layers": 2, "context": 16}
# What the kernel computes above the diagonal, per token, in both layers of a causal model.
ABOVE = 2 * 4 * SMALL["dim"] * (TIME - (TIME + 1) / 2)

TRANSFORMERS = {
    "plain": TransformerConfig(**SMALL),
    "grouped, gated": TransformerConfig(**SMALL, kv_heads=2, gated=True, position="rotary"),
    "untied, learned": TransformerConfig(
        **SMALL, tie_embeddings=False, position="learned", ff_dim=20
    ),
    "post": TransformerConfig(**SMALL, norm_order="post", bias=False, qk_norm=True),
}
RECURRENT = {
    "lstm": RecurrentConfig(**SMALL),
    "gru, dot": RecurrentConfig(**SMALL, cell="gru", attention="dot"),
    "lstm, fed": RecurrentConfig(**SMALL, attention="additive", input_feeding=True),
}
every_transformer = pytest.mark.parametrize("config", TRANSFORMERS.values(), ids=TRANSFORMERS)


def counted(model, *inputs):
    """Operations per token as torch counts them, attention in the open so that it sees all."""
    for part in model.modules():
        if isinstance(part, MultiHeadAttention):
            part.on_attention = lambda record: None
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    return counter.get_total_flops() / TIME


def tokens():
    return torch.randint(VOCAB, (1, TIME))


@every_transformer
def test_a_language_model(config):
    model = language_model(config, VOCAB)
    assert operations_per_token(model, TIME) == pytest.approx(counted(model, tokens()) - ABOVE)


@every_transformer
def test_a_classifier(config):
    model = classifier(config, VOCAB, LABELS)
    assert operations_per_token(model, TIME) == pytest.approx(counted(model, tokens()))


@every_transformer
def test_sequence_to_sequence(config):
    model = sequence_to_sequence(config, VOCAB, VOCAB)
    expected = counted(model, tokens(), None, tokens()) - ABOVE
    assert operations_per_token(model, TIME) == pytest.approx(expected)


@pytest.mark.parametrize("window", [1, 3, TIME, 2 * TIME])
@pytest.mark.parametrize("causal", [True, False])
def test_a_window_counts_the_keys_that_the_mask_allows(window, causal):
    config = TransformerConfig(**SMALL, window=window)
    whole = TransformerConfig(**SMALL)
    build = language_model if causal else lambda *how: classifier(*how, LABELS)
    model = build(config, VOCAB)
    offset = torch.arange(TIME)[:, None] - torch.arange(TIME)
    allowed = (offset.abs() < window) & ((offset >= 0) | (not causal))
    without_attention = operations_per_token(build(whole, VOCAB), TIME)
    without_attention -= 64 * ((TIME + 1) / 2 if causal else TIME)
    expected = without_attention + 64 * allowed.sum().item() / TIME
    assert operations_per_token(model, TIME) == pytest.approx(expected)


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_recurrence_by_hand(cell, gates):
    """Two layers, each with a matrix for its input and one for its state; and the logits."""
    model = language_model(RecurrentConfig(**SMALL, cell=cell), VOCAB)
    expected = 2 * (2 * gates * 2 * 8 * 8) + 2 * 8 * VOCAB
    assert operations_per_token(model, TIME) == operations_per_token(model, 1) == expected


def test_both_directions_of_half_the_width():
    model = classifier(RecurrentConfig(**SMALL), VOCAB, LABELS)
    expected = 2 * (2 * 4 * 2 * (4 * 8 + 4 * 4)) + 2 * 8 * LABELS / TIME
    assert operations_per_token(model, TIME) == pytest.approx(expected)


def test_attention_of_a_recurrent_decoder_by_hand():
    plain, dot, additive = (
        sequence_to_sequence(RecurrentConfig(**SMALL, attention=attention), VOCAB, VOCAB)
        for attention in ("none", "dot", "additive")
    )
    # Keys, attentional state, and per source position a score and a share of the context.
    attended = 2 * (8 * 8 + 16 * 8) + 4 * 8 * TIME
    base = operations_per_token(plain, TIME)
    assert operations_per_token(dot, TIME) - base == attended
    assert operations_per_token(additive, TIME) - base == attended + 2 * 8 * 8


ALL = [
    *TRANSFORMERS.values(),
    *RECURRENT.values(),
    TransformerConfig(**SMALL, mixer=["gru", "none"]),
]


@pytest.mark.parametrize("config", ALL, ids=str)
def test_the_state_counted_and_as_it_is(config):
    def numbers(state):
        counted = []
        map_tensors(lambda tensor: counted.append(tensor[0].numel()), state)
        return sum(counted)

    model = sequence_to_sequence(config, VOCAB, VOCAB)
    memory = model.encode(tokens())
    _, state = model.decode(tokens(), memory)
    assert state_size(model, TIME) == numbers((memory.attended, state.decoder))
    if not isinstance(config, RecurrentConfig) or config.attention == "none":
        model = language_model(config, VOCAB)
        assert state_size(model, TIME) == numbers(model(tokens())[1].backbone)
    assert state_size(classifier(TransformerConfig(**SMALL), VOCAB, LABELS), TIME) == 0


@pytest.mark.parametrize("length", [1, TIME, SMALL["context"]])
@pytest.mark.parametrize(
    "config", [*TRANSFORMERS.values(), *RECURRENT.values()], ids=[*TRANSFORMERS, *RECURRENT]
)
def test_latency_is_a_figure(config, length):
    models = [sequence_to_sequence(config, VOCAB, VOCAB)]
    if not isinstance(config, RecurrentConfig) or config.attention == "none":
        models += [language_model(config, VOCAB), classifier(config, VOCAB, LABELS)]
    for model in models:
        latency = latency_ms(model, length, seconds=0.0)
        assert math.isfinite(latency)
        assert latency > 0


def test_a_length_beyond_the_positions_is_refused():
    with pytest.raises(ValueError, match="position 17, but the context is 16"):
        latency_ms(language_model(TransformerConfig(**SMALL), VOCAB), 17)
