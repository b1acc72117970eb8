"""Test the section about associative recall on results whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from made_results import made

from minitx.drawing.figures import png
from minitx.study.report.sections import SECTIONS


def answers_of(arm, point, seed):
    """All pairs, and half of them, which everyone answers."""
    distance = np.tile(np.arange(16, 96), 20)
    right = (distance < 60) | (arm == "transformer") | (point[0] < 16)
    whole = pd.DataFrame({"pairs": point[0], "distance": distance, "right": right.astype(int)})
    half = whole.assign(pairs=point[0] // 2, right=1)
    return {"recall": pd.concat([whole, half])}


def test_recall_tells_where_an_arm_falls_off():
    results = made(
        {"transformer": lambda p: 1.0, "lstm": lambda p: 0.5},
        grid={"task.pairs": [4, 8, 16]},
        measure="accuracy",
        details=answers_of,
    )
    section = SECTIONS["recall"](results)
    best, worse, learned, _, above, *_ = section.sentences
    assert learned.startswith(
        "Seeds of transformer that reach an accuracy of 0.9: 3 of 3 with 4 pairs (1, 1 and 1)"
    )
    assert above == (
        "transformer is better than guessing a value from the sequence (accuracy 0.250, 0.125 and "
        "0.062) with 4, 8 and 16 pairs."
    )
    assert best.endswith("stays at or above 0.99 up to 16 pairs.")
    assert worse.endswith("is below 0.99 and 0.9 with 16 pairs (0.550) but not yet with 8 pairs.")
    rows = section.table[(section.table["arm"] == "lstm") & (section.table["pairs"] == 16)]
    assert rows["accuracy"].iloc[0] == 1
    assert rows["accuracy"].iloc[-1] == 0
    assert rows["queries"].sum() == 3 * 80 * 20
    assert (rows["low"] <= rows["accuracy"]).all()
    assert any(
        "lstm with 16 pairs, by the number of pairs in a sequence: accuracy 1.000 with 8 pairs "
        "(chance level 0.125) and 0.550 with 16 pairs (chance level 0.062)." in sentence
        for sentence in section.sentences
    )
    by_pairs = section.more["by pairs"]
    found = by_pairs[(by_pairs["arm"] == "lstm") & (by_pairs["pairs"] == 16)]
    assert dict(zip(found["pairs in a sequence"], found["accuracy, mean"], strict=True)) == {
        8: 1.0,
        16: pytest.approx(0.55),
    }
    assert png(section.figure)


def test_recall_is_told_from_guessing():
    """Of 16 pairs one answer in 16 is right by naming any value, and so are these."""

    def guesses(arm, point, seed):
        right = (np.arange(1600) + seed) % 16 == 0
        distance = np.tile(np.arange(16, 96), 20)
        return {"recall": pd.DataFrame({"pairs": 16, "distance": distance, "right": right * 1})}

    results = made({"lstm": lambda c: 1 / 16}, grid={"model.context": [64, 128]}, details=guesses)
    assert (
        "lstm is not shown to be better than guessing a value from the sequence (accuracy 0.062) "
        "with 64 and 128 tokens of context."
    ) in SECTIONS["recall"](results).sentences


def test_recall_tells_lines_apart_that_differ_in_more_than_the_arm():
    results = made(
        {"lstm": lambda p, layers: 0.5},
        grid={"task.pairs": [4, 16], "model.layers": [1, 2]},
        measure="accuracy",
        details=lambda arm, point, seed: answers_of("lstm", point[:1], seed),
    )
    section = SECTIONS["recall"](results)
    assert set(section.table["arm"]) == {"lstm with 1 layer", "lstm with 2 layers"}
    rows = section.table[section.table["pairs"] == 16].groupby("arm")["queries"].sum()
    assert list(rows) == [3 * 80 * 20] * 2
    assert png(section.figure)
