"""Test the baseline mixers."""

import pytest
import torch
from references import assert_close, may_attend, randomise

from minitx.nn.attention import SelfAttention
from minitx.nn.baseline_mixers import Average, NoMixing


@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_average_is_the_mean_of_the_values(causal, padded):
    average = randomise(Average(6, causal=causal))
    x = torch.randn(3, 5, 6)
    padding = torch.rand(3, 5) < 0.6 if padded else None
    allowed = may_attend(5, 5, causal=causal, padding=padding).expand(3, -1, -1)
    values, expected = average.value(x), torch.zeros(3, 5, 6)
    for row, query in torch.cartesian_prod(torch.arange(3), torch.arange(5)).tolist():
        seen = values[row, allowed[row, query]]
        expected[row, query] = seen.sum(dim=0) / max(len(seen), 1)
    assert_close(average(x, padding)[0], average.output(expected))


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_average_is_attention_that_cannot_choose(causal):
    attention = randomise(SelfAttention(6, 1, causal=causal))
    torch.nn.init.zeros_(attention.query.weight)
    torch.nn.init.zeros_(attention.query.bias)
    average = Average(6, causal=causal)
    average.value, average.output = attention.value, attention.output
    x = torch.randn(2, 5, 6)
    assert_close(average(x)[0], attention(x)[0])


def test_no_mixing_adds_nothing():
    x = torch.randn(2, 3, 6)
    y, _ = NoMixing()(x)
    assert torch.equal(x + y, x)
