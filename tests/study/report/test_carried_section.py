"""Test the section about a state that is carried over from the text before."""

import numpy as np
import pandas as pd
import pytest
from made_results import made

from minitx.drawing.figures import png
from minitx.study.report.sections import SECTIONS


def carried_of(arm, point, seed):
    """An LSTM gains a nat at the first position, half of it at the second and so on."""
    if arm == "transformer":
        return {}
    place = np.arange(1, 65)
    carried = 2 - (1 + 0.01 * seed) / place
    return {"carried": pd.DataFrame({"position": place, "nats": 2.0, "nats carried": carried})}


def test_the_gain_is_that_of_the_same_windows():
    results = made(
        {"transformer": 2.2, "lstm": 2.1}, seeds=(1, 2, 3, 4), details=carried_of, sections=()
    )
    section = SECTIONS["carried"](results)
    table = section.table
    assert set(table["arm"]) == {"lstm"}
    assert list(table["to"]) == [1, 2, 4, 8, 16, 32, 64]
    assert table["gain, nats/token"].iloc[0] == pytest.approx(1.025)
    last = 1.025 * (1 / np.arange(33, 65)).mean()
    assert table["gain, nats/token"].iloc[-1] == pytest.approx(last)
    assert (table["low"] < table["gain, nats/token"]).all()
    (sentence,) = section.sentences
    assert sentence.startswith(
        "At positions 33 to 64, a state carried over from before the window lowers the loss of "
        f"lstm by {last:.4f} nats/token (95% interval over 4 seeds "
    )
    assert png(section.figure)


def test_few_or_equal_seeds_have_no_interval():
    few = made({"lstm": 2.1}, seeds=(1, 2), details=carried_of)
    assert "(2 seeds, too few for an interval)" in SECTIONS["carried"](few).sentences[0]
    equal = made({"lstm": 2.1}, seeds=(1, 2, 3, 4), details=lambda *of: carried_of("lstm", (), 1))
    assert "(4 seeds, too similar for an interval)" in SECTIONS["carried"](equal).sentences[0]


def test_a_state_may_do_harm():
    def harmful(arm, point, seed):
        place = np.arange(1, 65)
        carried = 2 + 0.01 + 0.001 * seed
        return {"carried": pd.DataFrame({"position": place, "nats": 2.0, "nats carried": carried})}

    results = made({"lstm": 2.1}, seeds=(1, 2, 3, 4), details=harmful)
    (sentence,) = SECTIONS["carried"](results).sentences
    assert "raises the loss of lstm by 0.0125 nats/token (95% interval over 4 seeds" in sentence


def test_a_state_may_be_forgotten_within_the_window():
    def forgotten(arm, point, seed):
        place = np.arange(1, 65)
        gain = np.where(place <= 8, (1 + 0.01 * seed) / place, 0.0001 * (-1) ** seed)
        return {"carried": pd.DataFrame({"position": place, "nats": 2, "nats carried": 2 - gain})}

    results = made({"lstm": 2.1}, seeds=(1, 2, 3, 4), details=forgotten)
    (sentence,) = SECTIONS["carried"](results).sentences
    last = 1.025 * (1 / np.arange(5, 9)).mean()
    assert sentence.startswith(
        "Up to position 8, a state carried over from before the window lowers the loss of lstm, by "
        f"1.0250 nats/token at position 1. At positions 5 to 8, it lowers the loss of lstm by "
        f"{last:.4f} nats/token (95% interval over 4 seeds "
    )
    assert sentence.endswith(". At positions 9 to 16, no effect is shown.")


@pytest.mark.parametrize("name", ["carried", "positions"])
def test_a_context_of_one_token_has_no_doubling(name):
    def one_token(arm, point, seed):
        return {name: pd.DataFrame({"position": [1], "nats": 2.0, "nats carried": 1, "count": 9})}

    assert SECTIONS[name](made({"lstm": 2.1}, details=one_token)) is None


def test_models_without_a_recurrent_state_are_left_out():
    assert SECTIONS["carried"](made({"transformer": 2.2}, details=carried_of)) is None
