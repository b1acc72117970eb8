"""Compare gradient x input with linear models calculated by hand, and with finite differences."""

import pytest
import torch
from inspected import (
    LABELLED,
    LABELS,
    PAIRS,
    SMALL,
    TEXTS,
    lstm,
    make_run,
    randomise,
    transformer,
)
from torch import nn

from minitx.data.tokenizers.sequence import BOS, EOS
from minitx.inspection.influence import gradient_times_input, shares, token_influence
from minitx.inspection.reading import influence
from minitx.models.classifier import Classifier
from minitx.models.decoders import Memory
from minitx.models.embedding import TokenEmbedding
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.positions import Sinusoidal

DIM = SMALL["dim"]


class LinearSum(nn.Module):
    """y(t) = A (x(0) + ... + x(t))."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(DIM, DIM, bias=False)

    def forward(self, x, padding=None, state=None):
        return self.linear(x).cumsum(dim=1), None


class LinearDecoder(nn.Module):
    """y(t) = x(t) + (t + 1) M; M is the last of what a `LinearSum` encoded."""

    def prepare_memory(self, encoded, padding, final):
        return Memory((), encoded[:, -1:])

    def forward(self, x, memory, state=None):
        return x + torch.arange(1, x.size(1) + 1)[:, None] * memory.start, None


def embedding(vocab_size, position=None):
    return TokenEmbedding(vocab_size, DIM, position)


def normalised(signed):
    sizes = signed.detach().abs()
    return sizes / sizes.sum(dim=-1, keepdim=True)


def test_by_hand():
    # z0 = 2 a + b c, z1 = c: of three tokens with two features each, (a, 0), (b, 0) and (c, 1)
    embedded = torch.tensor([[[3.0, 0], [5.0, 0], [7.0, 1]]], requires_grad=True)
    a, b, c = embedded[0, :, 0]
    signed = gradient_times_input(torch.stack([2 * a + b * c, c]), embedded)
    assert signed.tolist() == [[6, 35, 35], [0, 0, 7]]
    assert not signed.requires_grad


def test_shares_of_rows():
    rows = shares(torch.tensor([[1.0, -3], [0, 0], [1e-30, 1e-30]]))
    torch.testing.assert_close(rows, torch.tensor([[0.25, 0.75], [0, 0], [0.5, 0.5]]))


@pytest.mark.parametrize("position", [None, Sinusoidal(DIM, 16)])
def test_a_linear_language_model(position):
    model = randomise(LanguageModel(embedding(10, position), LinearSum(), context=16))
    run = make_run(TEXTS, transformer(), model)
    ids = torch.tensor(TEXTS.tokenizer.encode("bad. a"))
    logits, _ = model(ids[None])
    targets = torch.cat([ids[1:], logits[0, -1].argmax()[None]])
    # Logit t is W[target] . A (e(0) + ... + e(t)), positions aside.
    e = model.embedding.table.weight[ids] * model.embedding.scale  # (T, C)
    signed = (model.to_logits.weight[targets] @ model.backbone.linear.weight @ e.T).tril()
    found = influence(run, "bad. a")
    torch.testing.assert_close(found.weights, normalised(signed))
    assert found.sources == tuple("bad. a")
    assert found.targets == (*"ad. a", TEXTS.tokenizer.decode([int(targets[-1])]))
    if position is None:  # complete: what the tokens add is all there is
        expected = logits[0, torch.arange(6), targets]
        torch.testing.assert_close(signed.sum(dim=-1), expected)


def test_a_linear_classifier():
    model = randomise(Classifier(embedding(12), LinearSum(), labels=3))
    run = make_run(LABELLED, transformer(), model)
    ids = torch.tensor([BOS, *LABELLED.tokenizer.encode("two one two six")])
    e = model.embedding.table.weight[ids]
    # The mean over t of A (e(0) + ... + e(t)): token s is in T - s of the T sums.
    parts = (model.encoder.linear.weight @ e.T) * torch.arange(5, 0, -1) / 5  # (C, T)
    signed = model.to_labels.weight @ parts  # (labels, T)
    logits = model(ids[None])[0]
    torch.testing.assert_close(signed.sum(dim=-1) + model.to_labels.bias, logits)  # complete
    best = int(logits.argmax())
    found = influence(run, "two one two six")
    torch.testing.assert_close(found.weights, normalised(signed[[best]]))
    assert found.targets == (LABELS[best],)
    assert found.sources == ("<bos>", "two", "one", "two", "six")
    for index, label in enumerate(LABELS):
        asked = influence(run, "two one two six", output=label)
        torch.testing.assert_close(asked.weights, normalised(signed[[index]]))
        assert asked.targets == (label,)


@pytest.mark.parametrize("shared", [False, True])
def test_a_linear_encoder_decoder(shared):
    source, target = embedding(12), embedding(12)
    if shared:
        target.table = source.table
    model = randomise(Seq2Seq(source, target, LinearSum(), LinearDecoder(), context=16))
    run = make_run(PAIRS, transformer(), model)
    found = influence(run, "abca", output="two one")
    ids = torch.tensor([*PAIRS.source.encode("abca"), EOS])
    targets = torch.tensor([*PAIRS.target.encode("two one"), EOS])
    e = source.table.weight[ids]
    signed = model.to_logits.weight[targets] @ model.encoder.linear.weight @ e.T
    torch.testing.assert_close(found.weights, normalised(signed))  # t + 1 is in the whole row
    assert found.targets == ("two", "one", "<eos>")
    assert found.sources == ("a", "b", "c", "a", "<eos>")


MODELS = {
    "transformer": (TEXTS, transformer()),
    "rotary, kv_heads": (TEXTS, transformer(position="rotary", kv_heads=2)),
    "lstm": (TEXTS, lstm()),
    "gru": (TEXTS, lstm(cell="gru")),
    "classifier, lstm": (LABELLED, lstm()),
    "classifier": (LABELLED, transformer()),
    "pairs": (PAIRS, transformer()),
    "pairs, lstm": (PAIRS, lstm()),
    "pairs, fed": (PAIRS, lstm(attention="additive", input_feeding=True)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_how_logits_change_as_an_embedding_grows(name):
    """r(s) = dz/da, where e(s) is multiplied by a: found here by finite differences."""
    vocabulary, config = MODELS[name]
    model = randomise(vocabulary.build(config)).double()
    tokens, target_in = torch.tensor([[5, 4, 7, 6]]), torch.tensor([[BOS, 6, 5]])
    targets = torch.tensor([2]) if vocabulary is LABELLED else torch.tensor([6, 5, 4, 7])
    if vocabulary is PAIRS:
        targets = targets[:3]
    part = model.source_embedding if vocabulary is PAIRS else model.embedding

    def logits(factors):
        """Those of the targets, with each token's embedding multiplied by its factor."""
        with part.table.register_forward_hook(lambda module, inputs, e: e * factors[:, None]):
            if vocabulary is PAIRS:
                rows = model(tokens, None, target_in)[0]
            else:
                rows = model(tokens) if vocabulary is LABELLED else model(tokens)[0][0]
        return rows[torch.arange(len(rows)), targets]

    step = 1e-5
    columns = [
        (logits(1 + step * one) - logits(1 - step * one)) / (2 * step)
        for one in torch.eye(4, dtype=torch.float64)
    ]
    expected = normalised(torch.stack(columns, dim=1)).float()
    given = target_in if vocabulary is PAIRS else None
    found = token_influence(model, tokens, targets, given)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(len(targets)))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("vocabulary", [TEXTS, PAIRS, LABELLED])
def test_it_works_with_gradients_switched_off(vocabulary, mode):
    run = make_run(vocabulary, lstm())
    text = "two one" if vocabulary is LABELLED else "abc"
    expected = influence(run, text)
    with mode():
        found = influence(run, text)
    torch.testing.assert_close(found.weights, expected.weights)
    assert not found.weights.is_inference()
    assert not found.weights.requires_grad


def test_it_leaves_no_gradients_and_no_hooks():
    run = make_run(TEXTS, transformer())
    influence(run, "abc")
    assert all(parameter.grad is None for parameter in run.model.parameters())
    assert not any(module._forward_hooks for module in run.model.modules())
