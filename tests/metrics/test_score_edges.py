"""Test scores of nearly empty outputs, as at the beginning of training."""

from math import isfinite, isnan

import numpy as np
import pytest

from minitx.metrics.scores import bleu, chrf, phoneme_error_rate, word_error_rate

REFERENCES = [["five two four"], ["nine"], ["one one"], ["six"]]


@pytest.mark.parametrize("outputs", [[""] * 4, ["@@", "@ @", "@", ""], ["five two", "", "@", ""]])
@pytest.mark.parametrize("score", [bleu, chrf])
def test_outputs_that_share_little_or_nothing(score, outputs):
    """In some of the bootstrap's draws nothing is shared at all."""
    found = score(outputs, REFERENCES)
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == pytest.approx(score(outputs, REFERENCES).value)
    assert (found.value > 0) == (score is chrf and "five two" in outputs)


def test_by_hand():
    """An output that is missing is as many changes as its reference has phonemes."""
    assert phoneme_error_rate(["", "nine", "", ""], REFERENCES).value == pytest.approx(6 / 7)
    assert word_error_rate(["", "nine", "", ""], REFERENCES).value == pytest.approx(3 / 4)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_the_perfect_score_is_100(score):
    sentence = "A man is reading a book on a bench ."
    found = score([sentence] * 4, [[sentence]] * 4)
    assert (found.value, found.low, found.high) == pytest.approx((100, 100, 100))


@pytest.mark.parametrize("score", [bleu, chrf, word_error_rate, phoneme_error_rate])
def test_fewer_than_four_items_have_no_interval(score):
    found = score(["five two", "nine", "one"], REFERENCES[:3])
    assert isfinite(found.value)
    assert isnan(found.low)
    assert isnan(found.high)


@pytest.mark.parametrize("score", [chrf, word_error_rate, phoneme_error_rate])
def test_copies_of_items_add_no_information(score):
    """Ten copies of each item, as clusters, give the interval of the items themselves."""
    outputs = ["five two", "nine", "one", "", "six", "one two"]
    references = [*REFERENCES, ["six"], ["one two"]]
    once = score(outputs, references)
    copied = score(outputs * 10, references * 10, np.tile(np.arange(6), 10))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    independent = score(outputs * 10, references * 10)
    assert independent.high - independent.low < 0.6 * (once.high - once.low)
