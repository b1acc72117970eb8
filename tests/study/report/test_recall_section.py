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


def test_recall_names_the_point_where_an_arm_fails():
    results = made(
        {"transformer": lambda p: 1.0, "lstm": lambda p: 0.5},
        grid={"task.pairs": [4, 8, 16]},
        measure="accuracy",
        details=answers_of,
    )
    section = SECTIONS["recall"](results)
    best, worse, above, *_ = section.sentences
    assert best == (
        "Accuracy of transformer on test, median (and range) over seeds: 100% (100% to 100%) with "
        "4 pairs (chance level 25%); 100% (100% to 100%) with 8 pairs (chance level 12.5%); 100% "
        "(100% to 100%) with 16 pairs (chance level 6.25%)."
    )
    assert worse.endswith("55% (55% to 55%) with 16 pairs (chance level 6.25%).")
    assert above == (
        "Seeds of transformer that answer better than by guessing a value from the sequence (the "
        "95% interval over their queries, taken as independent, is above the chance level): 3 of 3 "
        "with 4 pairs; 3 of 3 with 8 pairs; 3 of 3 with 16 pairs."
    )
    rows = section.table[(section.table["arm"] == "lstm") & (section.table["pairs"] == 16)]
    assert rows["accuracy, median"].iloc[0] == 1
    assert rows["accuracy, median"].iloc[-1] == 0
    assert rows["queries"].sum() == 3 * 80 * 20
    assert (rows["lowest seed"] <= rows["accuracy, median"]).all()
    assert any(
        "lstm with 16 pairs, by the number of pairs in a sequence: median accuracy (and range over "
        "seeds) 100% (100% to 100%) with 8 pairs (chance level 12.5%) and 55% (55% to 55%) with 16 "
        "pairs (chance level 6.25%)." in sentence
        for sentence in section.sentences
    )
    assert section.sentences[-1] == (
        "lstm with 16 pairs, by distance: median accuracy (and range over seeds) 100% (100% to "
        "100%) at 16 to 25 tokens and 0% (0% to 0%) at 86 to 95 tokens."
    )
    by_pairs = section.more["by pairs"]
    found = by_pairs[(by_pairs["arm"] == "lstm") & (by_pairs["pairs"] == 16)]
    assert dict(zip(found["pairs in a sequence"], found["accuracy, median"], strict=True)) == {
        8: 1.0,
        16: pytest.approx(0.55),
    }
    assert png(section.figure)


def test_seeds_that_learn_and_seeds_that_do_not_are_not_averaged():
    """Seeds 1 and 2 are always right, and seed 3 guesses."""

    def answers(arm, point, seed):
        right = 1 if seed < 3 else (np.arange(1600) % 16 == 0) * 1
        distance = np.tile(np.arange(16, 96), 20)
        return {"recall": pd.DataFrame({"pairs": 16, "distance": distance, "right": right})}

    results = made({"lstm": lambda c: 0.5}, grid={"model.context": [64, 128]}, details=answers)
    section = SECTIONS["recall"](results)
    assert section.sentences[0] == (
        "Accuracy of lstm on test, median (and range) over seeds: 100% (6.25% to 100%) with 64 "
        "tokens of context (chance level 6.25%); 100% (6.25% to 100%) with 128 tokens of context "
        "(chance level 6.25%)."
    )
    assert section.sentences[1].endswith(
        "2 of 3 with 64 tokens of context; 2 of 3 with 128 tokens of context."
    )
    rows = section.more["by tokens of context"]
    assert list(rows["lowest seed"]) == [0.0625, 0.0625]
    assert list(rows["highest seed"]) == [1, 1]


def test_recall_is_distinguished_from_guessing():
    """Of 16 pairs one answer in 16 is right by naming any value, and so are these."""

    def guesses(arm, point, seed):
        right = (np.arange(1600) + seed) % 16 == 0
        distance = np.tile(np.arange(16, 96), 20)
        return {"recall": pd.DataFrame({"pairs": 16, "distance": distance, "right": right * 1})}

    results = made({"lstm": lambda c: 1 / 16}, grid={"model.context": [64, 128]}, details=guesses)
    assert (
        "Seeds of lstm that answer better than by guessing a value from the sequence (the 95% "
        "interval over their queries, taken as independent, is above the chance level): 0 of 3 "
        "with 64 tokens of context; 0 of 3 with 128 tokens of context."
    ) in (section := SECTIONS["recall"](results)).sentences
    # All sequences have 16 pairs, so nothing is said of fewer.
    assert "fewer" not in section.note
    assert "by pairs" not in section.more
    assert not any("by the number of pairs" in sentence for sentence in section.sentences)
    assert len(section.figure.axes) == 2


def test_recall_names_lines_that_differ_in_more_than_the_arm():
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


def test_one_pair_has_one_distance():
    def one_pair(arm, point, seed):
        return {"recall": pd.DataFrame({"pairs": 1, "distance": [2, 2], "right": [1, 0]})}

    results = made(
        {"transformer": 1.0}, grid={"model.context": [3]}, measure="accuracy", details=one_pair
    )
    section = SECTIONS["recall"](results)
    assert list(section.table["distance from"]) == [2]
    assert section.sentences[-1].endswith("50% (50% to 50%) at 2 to 2 tokens.")
