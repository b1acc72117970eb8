"""Test the terms that items add to a score, and language models measured in windows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from torch import nn
from torch.utils.data import TensorDataset

from minitx.data.batching.windows import IGNORE
from minitx.metrics.decomposable import MEASURES
from minitx.metrics.scores import bleu, phoneme_error_rate, word_error_rate
from minitx.metrics.token_metrics import TextLoss
from minitx.tasks.windows import evaluate_windows

WORDS = st.lists(st.sampled_from(["a", "cat", "sat", "on", "mat", "."]), min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=6)


@given(PAIRS, st.data())
def test_the_items_of_bleu_score_any_choice_of_the_sentences(pairs, data):
    outputs = [" ".join(output) for output, _ in pairs]
    references = [" ".join(reference) for _, reference in pairs]
    items = bleu(outputs, [[reference] for reference in references]).items
    indices = st.integers(0, len(pairs) - 1)
    rows = data.draw(st.lists(indices, min_size=1, max_size=8))
    drawn = [outputs[row] for row in rows], [[references[row] for row in rows]]
    expected = BLEU(smooth_method="exp").corpus_score(*drawn).score
    assert MEASURES["bleu"].of(items[rows]) == pytest.approx(expected)
    both = np.stack([items[rows].sum(axis=0), items.sum(axis=0)])
    assert MEASURES["bleu"].score(both).shape == (2,)


@given(PAIRS)
def test_the_items_of_error_rates_add_up_to_them(pairs):
    outputs = [" ".join(output) for output, _ in pairs]
    references = [[" ".join(reference)] for _, reference in pairs]
    for name, rate in (("wer", word_error_rate), ("per", phoneme_error_rate)):
        score = rate(outputs, references)
        assert len(score.items) == len(pairs)
        assert MEASURES[name].of(score.items) == pytest.approx(score.value)


class Fixed(nn.Module):
    """Logits that were drawn beforehand, by the token read."""

    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)

    def forward(self, tokens):
        return self.table(tokens), None


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_windows_give_the_figures_of_the_whole_split(batch_size):
    torch.manual_seed(0)
    model, lengths = Fixed(7), torch.tensor([1, 2, 1, 3, 1, 1, 4])
    inputs, targets = torch.randint(7, (2, 8, 5))
    targets[-1, 3:] = IGNORE  # as at the end of a split
    windows = TensorDataset(inputs, targets)
    evaluation = evaluate_windows(model, windows, batch_size, lengths, "measuring")
    whole = TextLoss(lengths)
    with torch.no_grad():
        whole.update(model(inputs)[0], targets)
    assert evaluation.metrics == pytest.approx(whole.compute())
    for name, items in evaluation.items.items():
        assert len(items) == len(windows)
        assert MEASURES[name].of(items) == pytest.approx(evaluation.metrics[name])
    nats, counts = evaluation.by_position.T
    assert counts.tolist() == [8, 8, 8, 7, 7]
    assert nats.sum() / counts.sum() == pytest.approx(evaluation.metrics["loss"])
    first = nn.functional.cross_entropy(model(inputs[:, :1])[0][:, 0], targets[:, 0])
    assert nats[0] / counts[0] == pytest.approx(first.item())
    for name, (low, high) in evaluation.intervals.items():
        assert low <= evaluation.metrics[name] <= high


def test_tokens_that_are_no_text_have_no_bits_per_byte():
    windows = TensorDataset(*torch.randint(7, (2, 4, 5)))
    assert "bits_per_byte" not in evaluate_windows(Fixed(7), windows, 2, None, "").metrics
