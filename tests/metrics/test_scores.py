"""Test scores of outputs against sacrebleu's own command and another edit distance."""

import json
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.metrics.scores import (
    bleu,
    chrf,
    has_four_grams,
    phoneme_error_rate,
    word_error_rate,
)

OUTPUTS = ["The cat sat on the mat .", "A dog runs .", "two men are talking outside"]
REFERENCES = ["The cat sat on a mat .", "The dog is running .", "Two men talk outside ."]

phonemes = st.lists(st.sampled_from(["AH", "K", "T", "IY"]), min_size=1, max_size=6).map(" ".join)


def levenshtein(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """The distance by its recursive definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        change = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, change)

    return distance(len(one), len(other))


@pytest.mark.parametrize(
    ("score", "arguments"),
    [
        (bleu, ["-m", "bleu"]),
        (lambda *texts: bleu(*texts, lowercase=True), ["-m", "bleu", "-lc"]),
        (chrf, ["-m", "chrf"]),
    ],
)
def test_scores_are_those_of_sacrebleus_command(score, arguments, tmp_path):
    for name, lines in (("out", OUTPUTS), ("ref", REFERENCES)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["sacrebleu", str(tmp_path / "ref"), "-i", str(tmp_path / "out"), *arguments]
    answer = subprocess.run(
        [sys.executable, "-m", *command, "--width", "6"], capture_output=True, text=True, check=True
    )
    result = score(OUTPUTS, [[reference] for reference in REFERENCES])
    assert result.value == pytest.approx(json.loads(answer.stdout)["score"], abs=1e-5)


def test_white_space_makes_no_output_wrong():
    assert word_error_rate(["A B"], [("A  B",)]).value == 0
    assert phoneme_error_rate(["A B"], [("A  B",)]).value == 0
    assert word_error_rate(["AB"], [("A B",)]).value == 1


@pytest.mark.parametrize(
    ("references", "enough"), [([("a b c",), ("d",)], False), ([("a b c .",), ("d",)], True)]
)
def test_bleu_is_zero_without_four_words(references, enough):
    assert has_four_grams(references) is enough
    best = bleu([first for (first,) in references], references)
    assert (best.value > 0) is enough


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(phonemes, st.lists(phonemes, min_size=1, max_size=3)), min_size=1))
def test_error_rates_take_the_nearest_reference(cases):
    outputs, references = zip(*cases, strict=True)
    edits = length = wrong = 0
    for output, allowed in cases:
        nearest, size = min(
            (levenshtein(tuple(output.split()), tuple(other.split())), len(other.split()))
            for other in allowed
        )
        edits, length, wrong = edits + nearest, length + size, wrong + (nearest > 0)
    assert phoneme_error_rate(outputs, references).value == pytest.approx(edits / length)
    assert word_error_rate(outputs, references).value == pytest.approx(wrong / len(cases))


def test_interval_narrows_with_more_items():
    few = word_error_rate(["a", "b"] * 10, [["a"]] * 20)
    many = word_error_rate(["a", "b"] * 1000, [["a"]] * 2000)
    assert few.value == many.value == 0.5
    # The normal approximation: 1.96 * sqrt(0.25 / n) on each side.
    assert many.high - many.low == pytest.approx(2 * 1.96 * (0.25 / 2000) ** 0.5, rel=0.15)
    assert few.high - few.low == pytest.approx(2 * 1.96 * (0.25 / 20) ** 0.5, rel=0.25)
