"""Compare switched-off heads with models whose values are set to zero by hand."""

import copy

import pytest
import torch
from inspected import LABELLED, PAIRS, TEXTS, lstm, randomise, transformer

from minitx.errors import UserError
from minitx.inspection.capture import find_attention
from minitx.inspection.head_ablation import without_heads

D = 2  # features of a head


def without_values(model, name, heads):
    """The model with the value projections of these heads set to zero."""
    changed = copy.deepcopy(model)
    value = find_attention(changed)[name].value
    with torch.no_grad():
        for head in heads:
            value.weight[head * D : (head + 1) * D] = 0
            if value.bias is not None:
                value.bias[head * D : (head + 1) * D] = 0
    return changed


def forward(model, vocabulary):
    torch.manual_seed(2)
    tokens = torch.randint(4, 8, (2, 5))
    if vocabulary is PAIRS:
        return model(tokens, None, torch.randint(4, 8, (2, 3)))
    return model(tokens) if vocabulary is LABELLED else model(tokens)[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("vocabulary", "name"),
    [
        (TEXTS, "decoder.layers.1.self"),
        (LABELLED, "encoder.layers.0.self"),
        (PAIRS, "encoder.layers.1.self"),
        (PAIRS, "decoder.layers.0.self"),
        (PAIRS, "decoder.layers.1.cross"),
    ],
)
@pytest.mark.parametrize("heads", [[0], [1, 3], [0, 1, 2, 3]])
def test_it_is_a_model_whose_values_are_zero_there(vocabulary, name, heads, bias):
    model = randomise(vocabulary.build(transformer(bias=bias)))
    before = forward(model, vocabulary)
    with without_heads(model, {name: heads}):
        without = forward(model, vocabulary)
    torch.testing.assert_close(without, forward(without_values(model, name, heads), vocabulary))
    assert (without - before).abs().max() > 1e-3
    assert torch.equal(forward(model, vocabulary), before)


def test_a_head_goes_alone_where_it_shares_its_values():
    name = "decoder.layers.0.self"
    model = randomise(TEXTS.build(transformer(kv_heads=2)))
    with without_heads(model, {name: [2, 3]}):  # both that read the second key/value head
        both = forward(model, TEXTS)
    torch.testing.assert_close(both, forward(without_values(model, name, [1]), TEXTS))
    with without_heads(model, {name: [2]}):
        assert not torch.allclose(forward(model, TEXTS), both)


def test_a_recurrent_decoder_without_its_head_has_no_context():
    model = randomise(PAIRS.build(lstm(attention="additive")))
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.decoder.attention.combine.weight[:, :8] = 0
    with without_heads(model, {"decoder.cross": [0]}):
        torch.testing.assert_close(forward(model, PAIRS), forward(changed, PAIRS))


def test_several_at_once_and_one_within_the_other():
    model = randomise(TEXTS.build(transformer()))
    first, second = "decoder.layers.0.self", "decoder.layers.1.self"
    with without_heads(model, {first: [1], second: [2, 0]}):
        together = forward(model, TEXTS)
    with without_heads(model, {first: [1], second: [2]}), without_heads(model, {second: [0]}):
        assert torch.equal(forward(model, TEXTS), together)


def test_everything_is_restored_after_an_error():
    model = randomise(TEXTS.build(transformer()))
    before = forward(model, TEXTS)
    with pytest.raises(ZeroDivisionError), without_heads(model, {"decoder.layers.0.self": [0]}):
        raise ZeroDivisionError
    wrong = {"decoder.layers.0.self": [0], "decoder.layers.1.self": [4]}
    with pytest.raises(UserError, match=r"decoder.layers.1.self has heads 0 to 3$"):  # noqa: SIM117
        with without_heads(model, wrong):
            pass
    with pytest.raises(UserError, match=r"no attention 'decoder.layers.9.self'; it has decoder"):  # noqa: SIM117
        with without_heads(model, {"decoder.layers.9.self": [0]}):
            pass
    assert torch.equal(forward(model, TEXTS), before)
