"""Compare whole encoder-decoders of every kind with torch's own, and test their properties."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.references import assert_close, assert_same, copy_weights, randomise, stack_pairs
from seq2seq_kinds import CONFIGS, SMALL, SOURCE, TARGET, make_model
from torch import nn

from minitx.config.schema import ModelConfig, RecurrentConfig, TransformerConfig
from minitx.models.budget import fit_width
from minitx.models.build import sequence_to_sequence
from minitx.models.language_model import count_parameters
from minitx.nn.attention import CrossAttention
from minitx.nn.recurrent import CELLS
from minitx.nn.recurrent_attention import RecurrentAttention
from minitx.nn.tree import reorder

DIM, LAYERS = SMALL["dim"], SMALL["layers"]

every_model = pytest.mark.parametrize("name", CONFIGS)
few_examples = settings(deadline=None, max_examples=5)


def sources(lengths, time=None):
    """Tokens (B, S) and their padding."""
    time = time or max(lengths)
    padding = torch.arange(time) < torch.tensor(lengths)[:, None]
    return torch.randint(SOURCE, (len(lengths), time)), padding


# -- compared with torch's --


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_a_transformer_is_torchs(norm_order):
    config = TransformerConfig(**SMALL, norm_order=norm_order, activation="relu", ff_dim=12)
    model = randomise(sequence_to_sequence(config, SOURCE, TARGET))
    pre = norm_order == "pre"
    settings = {"dropout": 0.0, "batch_first": True, "norm_first": pre}
    # Torch closes both halves with a norm in any case; the paper, and we, only after pre-norm.
    theirs = nn.Transformer(
        DIM,
        4,
        custom_encoder=nn.TransformerEncoder(
            nn.TransformerEncoderLayer(DIM, 4, 12, **settings),
            LAYERS,
            nn.LayerNorm(DIM) if pre else None,
            enable_nested_tensor=False,
        ),
        custom_decoder=nn.TransformerDecoder(
            nn.TransformerDecoderLayer(DIM, 4, 12, **settings),
            LAYERS,
            nn.LayerNorm(DIM) if pre else None,
        ),
        batch_first=True,
    )
    halves = {"encoder": model.encoder, "decoder": model.decoder.stack}
    pairs = {
        f"{half}.{name}": ours
        for half, stack in halves.items()
        for name, ours in stack_pairs(stack).items()
    }
    copy_weights(pairs, theirs)

    _, padding = sources([5, 3, 1])
    source = torch.randn(3, 5, DIM, requires_grad=True)
    target = torch.randn(3, 4, DIM, requires_grad=True)
    encoded, final = model.encoder(source, padding)
    y, _ = model.decoder(target, model.decoder.prepare_memory(encoded, padding, final))
    expected = theirs(
        source,
        target,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(4),
        src_key_padding_mask=~padding,
        memory_key_padding_mask=~padding,
    )
    assert_same(y, expected, (source, target), pairs, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_an_rnn_without_attention_is_torchs_two(cell):
    model = make_model(f"{cell}, none")
    encoder = CELLS[cell](DIM, DIM // 2, LAYERS, batch_first=True, bidirectional=True)
    decoder = CELLS[cell](DIM, DIM, LAYERS, batch_first=True)
    for ours, theirs in (model.encoder, encoder), (model.decoder.stack, decoder):
        weights = {
            name.replace("l0", f"l{index}"): weight
            for index, layer in enumerate(ours.layers)
            for name, weight in layer.cell.named_parameters()
        }
        theirs.load_state_dict(weights)

    def side_by_side(final):  # (layers * 2, B, C / 2) -> (layers, B, C)
        return torch.stack([torch.cat([final[i], final[i + 1]], dim=-1) for i in (0, 2)])

    (source, _), target = sources([5, 5]), torch.randint(TARGET, (2, 4))
    _, final = encoder(model.source_embedding(source))
    start = tuple(map(side_by_side, final)) if cell == "lstm" else side_by_side(final)
    expected, _ = decoder(model.target_embedding(target), start)
    assert_close(model(source, None, target), model.to_logits(expected))


def test_input_feeding_step_by_step():
    model = make_model("lstm, fed")
    cells = []
    for layer in model.decoder.stack.layers:
        weights = {name[:-3]: weight for name, weight in layer.cell.named_parameters()}
        cell = nn.LSTMCell(layer.cell.input_size, DIM)
        cell.load_state_dict(weights)
        cells.append(cell)

    (source, padding), target = sources([4, 2]), torch.randint(TARGET, (2, 3))
    encoded, final = model.encoder(model.source_embedding(source), padding)
    keys_and_values = model.decoder.attention.keys_and_values(encoded, padding)
    states = [[part.flatten(1) for part in hidden] for hidden in final]
    fed, expected = torch.zeros(2, DIM), []
    for x in model.target_embedding(target).unbind(dim=1):
        x = torch.cat([x, fed], dim=-1)
        for index, cell in enumerate(cells):
            states[index] = cell(x, states[index])
            x = states[index][0]
        fed = model.decoder.attention(x[:, None], keys_and_values)[:, 0]
        expected.append(model.to_logits(fed))
    assert_close(model(source, padding, target), torch.stack(expected, dim=1))


# -- what each promises --


@every_model
@few_examples
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3), extra=st.integers(0, 2))
def test_a_padded_batch_is_one_sentence_at_a_time(name, lengths, extra):
    model = make_model(name)
    source, padding = sources(lengths, max(lengths) + extra)
    target = torch.randint(TARGET, (len(lengths), 4))
    logits = model(source, padding, target)
    for row, length in enumerate(lengths):
        alone = model(source[row : row + 1, :length], None, target[row : row + 1])
        assert_close(logits[row : row + 1], alone)


@every_model
def test_a_later_target_token_changes_no_logits(name):
    model, time = make_model(name), 5
    (source, padding), target = sources([4, 2]), torch.randint(TARGET, (2, time))
    logits = model(source, padding, target)
    for t in range(1, time):
        other = target.clone()
        other[:, t:] = (other[:, t:] + 1) % TARGET
        other_logits = model(source, padding, other)
        assert torch.equal(other_logits[:, :t], logits[:, :t])
        assert not torch.allclose(other_logits[:, t:], logits[:, t:])


@every_model
def test_every_source_token_reaches_every_position(name):
    model = make_model(name)
    (source, padding), target = sources([4, 3]), torch.randint(TARGET, (2, 3))
    embedded = []
    model.source_embedding.register_forward_hook(lambda *call: embedded.append(call[-1]))
    logits = model(source, padding, target)
    for t in range(3):
        outputs = logits[:, t]
        upstream = torch.randn_like(outputs)
        (gradient,) = torch.autograd.grad(outputs, embedded, upstream, retain_graph=True)
        assert ((gradient != 0).any(dim=-1) == padding).all()


@every_model
@few_examples
@given(pieces=st.lists(st.integers(1, 3), min_size=2, max_size=4))
def test_in_pieces_as_in_one_go(name, pieces):
    model, time = make_model(name), sum(pieces)
    (source, padding), target = sources([4, 2]), torch.randint(TARGET, (2, time))
    memory = model.encode(source, padding)
    state, outputs = None, []
    for piece in target.split(pieces, dim=1):
        logits, state = model.decode(piece, memory, state)
        outputs.append(logits)
    assert state.past == time
    assert_close(torch.cat(outputs, dim=1), model(source, padding, target))


@every_model
@few_examples
@given(rows=st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_memory_and_state_can_be_reordered(name, rows):
    model, rows = make_model(name), torch.tensor(rows)
    (source, padding), target = sources([4, 2, 3]), torch.randint(TARGET, (3, 4))
    memory = model.encode(source, padding)
    _, state = model.decode(target[:, :2], memory)
    logits, _ = model.decode(target[rows, 2:], reorder(memory, rows), reorder(state, rows))
    assert_close(logits, model(source, padding, target)[rows, 2:])


@every_model
def test_outputs_of_one_source_share_its_memory(name):
    model, each = make_model(name), 3
    (source, padding), target = sources([4, 2]), torch.randint(TARGET, (2 * each, 4))
    memory = model.encode(source, padding)
    _, state = model.decode(torch.zeros(2, 1, dtype=torch.long), memory)
    state = reorder(state, torch.arange(2).repeat_interleave(each))
    logits, state = model.decode(target[:, :2], memory, state)
    more, _ = model.decode(target[:, 2:], memory, state)

    begun = torch.cat([torch.zeros(2 * each, 1, dtype=torch.long), target], dim=1)
    alone = model(source.repeat_interleave(each, 0), padding.repeat_interleave(each, 0), begun)
    assert_close(torch.cat([logits, more], dim=1), alone[:, 1:])


@every_model
def test_a_source_without_a_real_token_leaves_no_nan(name):
    model = make_model(name)
    source, padding = sources([3, 0])
    logits = model(source, padding, torch.randint(TARGET, (2, 3)))
    logits.square().mean().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_model
def test_every_parameter_gets_a_gradient(name):
    model = make_model(name)
    source, padding = sources([6, 4])
    model(source, padding, torch.randint(TARGET, (2, 5))).square().mean().backward()
    # Two kinds of weight may have no effect: a bias of the keys, which moves all scores of a query
    # alike, and the norm before a mixer that lets nothing through. Even they have a gradient.
    idle = ("key.bias", "mixer_residual.norm") if name.startswith("none") else ("key.bias",)
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        if not any(part in parameter_name for part in idle):
            assert (parameter.grad != 0).any(), parameter_name


@every_model
def test_capturing_changes_nothing_and_gives_weights_per_head(name):
    model = make_model(name)
    (source, padding), target = sources([5, 3]), torch.randint(TARGET, (2, 4))
    expected = model(source, padding, target)
    captured = []
    for part in model.modules():
        if isinstance(part, CrossAttention | RecurrentAttention):
            part.on_attention = lambda record: captured.append(record.weights)
    assert_close(model(source, padding, target), expected)
    if not isinstance(CONFIGS[name], RecurrentConfig):
        assert [weights.shape for weights in captured] == LAYERS * [(2, 4, 4, 5)]
    elif CONFIGS[name].input_feeding:  # one step after the other
        assert [weights.shape for weights in captured] == 4 * [(2, 1, 1, 5)]
    else:
        number = 0 if CONFIGS[name].attention == "none" else 1
        assert [weights.shape for weights in captured] == number * [(2, 1, 4, 5)]
    for weights in captured:
        assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
        assert (weights[1, ..., 3:] == 0).all()


@every_model
def test_a_state_dict_makes_another_model_the_same(name):
    model = make_model(name)
    other = sequence_to_sequence(CONFIGS[name], SOURCE, TARGET).eval()
    other.load_state_dict(model.state_dict())
    (source, padding), target = sources([4, 2]), torch.randint(TARGET, (2, 3))
    assert torch.equal(other(source, padding, target), model(source, padding, target))


# -- as its config says --


def test_an_rnn_without_attention_remembers_a_state_alone():
    memory = make_model("lstm, none").encode(*sources([4, 2]))
    assert memory.attended == ()
    shapes = [[part.shape for part in hidden] for hidden in memory.start.hidden]
    assert shapes == LAYERS * [2 * [(2, 1, DIM)]]


def test_embeddings_are_scaled_where_sines_are_added():
    for position, scale in ("sinusoidal", math.sqrt(DIM)), ("learned", 1.0), ("rotary", 1.0):
        embedding = make_model(position).target_embedding
        tokens = torch.randint(TARGET, (2, 3))
        x = embedding.table.weight[tokens] * scale
        if embedding.position is not None:
            x = x + embedding.position.table[2:5]
        assert_close(embedding(tokens, past=2), x)


@pytest.mark.parametrize("kind", [TransformerConfig, RecurrentConfig])
@pytest.mark.parametrize(
    ("tied", "shared", "tables"),
    [(True, True, 1), (True, False, 2), (False, True, 2), (False, False, 3)],
)
def test_tied_and_shared_embeddings_are_one_parameter(kind, tied, shared, tables):
    model = sequence_to_sequence(
        kind(**SMALL, tie_embeddings=tied, share_embeddings=shared), 11, 11
    )
    assert len([p for p in model.parameters() if p.shape == (11, DIM)]) == tables
    table = model.target_embedding.table.weight
    assert (model.to_logits.weight is table) == tied
    assert (model.source_embedding.table.weight is table) == shared
    hidden = sequence_to_sequence(kind(**SMALL), 1, 1)
    total, without_embeddings = count_parameters(model)
    assert total - without_embeddings == tables * 11 * DIM
    assert without_embeddings == count_parameters(hidden)[1]


# A block of dim 8 and ff_dim 32 has 872 numbers (see test_language_model.py), cross-attention with
# its norm 288 + 16 more; after two blocks stands a norm of 16. Each gate of a recurrence from 8 to
# 8 has 144, of one direction of a bidirectional one 4 * 8 + 4 * 4 + 4 + 4 = 56. Attention has the
# keys' 8 * 8 + 8 = 72 and the combination's 16 * 8 + 8 = 136; additive another 8 * 8 + 8 = 72.
@pytest.mark.parametrize(
    ("config", "hidden"),
    [
        (TransformerConfig(**SMALL), 2 * (872 + 872 + 304) + 32),
        (TransformerConfig(**SMALL, norm_order="post"), 2 * (872 + 872 + 304)),
        (TransformerConfig(**SMALL, mixer="none"), 2 * (584 + 584 + 304) + 32),
        (RecurrentConfig(**SMALL, cell="gru"), 2 * 3 * (2 * 56 + 144)),
        (RecurrentConfig(**SMALL, bidirectional=False), 2 * 4 * (144 + 144)),
        (RecurrentConfig(**SMALL, cell="rnn", attention="dot"), 2 * (2 * 56 + 144) + 208),
        (RecurrentConfig(**SMALL, cell="rnn", attention="additive"), 2 * (2 * 56 + 144) + 280),
        (
            RecurrentConfig(**SMALL, cell="rnn", attention="dot", input_feeding=True),
            2 * (2 * 56 + 144) + 208 + 64,
        ),
    ],
)
def test_parameters_counted_by_hand(config, hidden):
    model = sequence_to_sequence(config, SOURCE, TARGET)
    assert count_parameters(model) == (hidden + (SOURCE + TARGET) * DIM, hidden)


@few_examples
@given(
    config=st.sampled_from(
        [
            TransformerConfig(layers=2, position="rotary", heads=3),
            TransformerConfig(layers=2, mixer="lstm", heads=3),
            TransformerConfig(layers=2, share_embeddings=True),
            RecurrentConfig(layers=2, attention="additive", input_feeding=True),
            RecurrentConfig(layers=2, cell="gru"),
        ]
    ),
    parameters=st.integers(600_000, 3_000_000),
)
def test_a_budget_of_parameters_is_met(config, parameters):
    build = partial(sequence_to_sequence, source_vocab=20, target_vocab=20)
    fitted = fit_width(config, build, parameters)
    assert count_parameters(build(fitted))[0] == pytest.approx(parameters, rel=0.02)


@pytest.mark.parametrize("dim", [16, 64])
def test_scaled_embeddings_start_at_the_size_of_the_sines(dim):
    torch.manual_seed(0)
    model = sequence_to_sequence(TransformerConfig(dim=dim, layers=1), 500, 500)
    embedded = model.source_embedding.table(torch.arange(500)) * model.source_embedding.scale
    assert embedded.std().item() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TransformerConfig(**SMALL, share_embeddings=True), "they have 13 and 11 tokens"),
        (TransformerConfig(**SMALL, pooling="first"), "pooling=first: sequence to sequence does"),
        (TransformerConfig(**SMALL, heads=3), "heads=3 does not divide dim=8"),
        (TransformerConfig(**SMALL | {"dim": 5}, heads=1, mixer="lstm"), "dim=5 must be even"),
        (RecurrentConfig(**SMALL | {"dim": 5}), "dim=5 must be even"),
        (RecurrentConfig(**SMALL, input_feeding=True), "needs model.attention=additive or dot"),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        sequence_to_sequence(config, SOURCE, TARGET)


def test_a_config_that_names_no_model_is_refused():
    with pytest.raises(TypeError, match="ModelConfig"):
        sequence_to_sequence(ModelConfig(**SMALL), SOURCE, TARGET)
