"""Test the recurrences against torch's own."""

import pytest
import torch
from references import assert_close, assert_same, copy_weights, randomise, recurrent_pairs

from minitx.nn.recurrent import CELLS, Recurrence, RecurrentStack

LAYERS, DIM = 3, 6
cells = pytest.mark.parametrize("cell", CELLS)
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both"])


@directions
@cells
def test_a_stack_is_torchs_layers(cell, bidirectional):
    ours = randomise(RecurrentStack(DIM, LAYERS, cell, bidirectional=bidirectional))
    width = DIM // 2 if bidirectional else DIM
    theirs = CELLS[cell](DIM, width, LAYERS, batch_first=True, bidirectional=bidirectional)
    pairs = recurrent_pairs(ours)
    copy_weights(pairs, theirs)

    x = torch.randn(2, 5, DIM, requires_grad=True)
    (y, states), (expected, expected_state) = ours(x), theirs(x)
    assert_same(y, expected, (x,), pairs, theirs)
    # Ours is one state a layer, batch first; torch's is one tensor, layer upon layer.
    if cell == "lstm":
        parts = zip(*states, strict=True)
        assert_close([torch.cat(part, dim=1).transpose(0, 1) for part in parts], expected_state)
    else:
        assert_close(torch.cat(states, dim=1).transpose(0, 1), expected_state)


def test_dropout_lies_between_layers_only():
    dropping, plain = (RecurrentStack(DIM, LAYERS, "gru", dropout=p) for p in (1.0, 0.0))
    plain.load_state_dict(dropping.state_dict())
    x = torch.randn(2, 5, DIM)
    (y, states), (_, plain_states) = dropping(x), plain(x)
    assert_close(states[0], plain_states[0])  # the input came through whole
    assert_close(y, dropping.layers[-1](torch.zeros_like(x))[0])  # nothing came to the last layer
    assert_close(dropping.eval()(x)[0], plain(x)[0])


@cells
def test_rows_without_a_real_token_keep_their_state(cell):
    layer = randomise(Recurrence(DIM, cell))
    x = torch.randn(2, 3, DIM)
    padding = torch.tensor([[True, True, False], [False, False, False]])
    _, before = layer(torch.randn(2, 4, DIM))

    def row(hidden, index):
        return [part[index] for part in (hidden if cell == "lstm" else [hidden])]

    assert_close(row(layer(x, padding, before)[1], 1), row(before, 1))
    nothing = [torch.zeros_like(part) for part in row(before, 1)]
    assert_close(row(layer(x, padding)[1], 1), nothing)


def test_a_bidirectional_recurrence_needs_an_even_width():
    with pytest.raises(ValueError, match="dim=5 must be even"):
        Recurrence(5, "lstm", bidirectional=True)


def test_a_compiled_layer_reads_padded_batches_alike():
    """Although a compiler cannot follow how rows are sorted by their length."""
    layer = Recurrence(DIM, "gru")
    compiled = torch.compile(layer, backend="eager")
    for length in (5, 3):
        x = torch.randn(2, length, DIM)
        padding = torch.arange(length) < torch.tensor([[length], [2]])
        (y, state), (expected_y, expected_state) = compiled(x, padding), layer(x, padding)
        assert_close(y, expected_y)
        assert_close(state, expected_state)
