"""Test scores of nearly empty outputs, as at the beginning of training."""

import pytest

from minitx.metrics.scores import bleu, chrf, phoneme_error_rate, word_error_rate

REFERENCES = [["five two four"], ["nine"], ["one one"]]


@pytest.mark.parametrize("outputs", [["", "", ""], ["@@", "@ @", "@"], ["five two", "", "@"]])
@pytest.mark.parametrize("score", [bleu, chrf])
def test_outputs_that_share_little_or_nothing(score, outputs):
    """In some of the bootstrap's draws nothing is shared at all."""
    found = score(outputs, REFERENCES)
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == pytest.approx(score(outputs, REFERENCES).value)
    assert (found.value > 0) == (score is chrf and "five two" in outputs)


def test_by_hand():
    """An output that is missing is as many changes as its reference has phonemes."""
    assert phoneme_error_rate(["", "nine", ""], REFERENCES).value == pytest.approx(5 / 6)
    assert word_error_rate(["", "nine", ""], REFERENCES).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_the_perfect_score_is_100(score):
    sentence = "A man is reading a book on a bench ."
    found = score([sentence] * 3, [[sentence]] * 3)
    assert (found.value, found.low, found.high) == pytest.approx((100, 100, 100))
