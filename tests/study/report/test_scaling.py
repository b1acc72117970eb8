"""Test the section about scaling on known exponents and on made-up speeds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_results import failing, made

from minitx.study.report.sections import SECTIONS
from minitx.study.statistics.growth import crossings, exponent, last_exponent

LENGTHS = (32, 64, 128, 256, 512, 1024)
TOKENS = 4096  # in a step


@pytest.mark.parametrize("power", [-0.5, 0, 1, 2])
def test_the_exponent_of_a_power_law(power):
    costs = [3 * length**power for length in LENGTHS]
    found = exponent(LENGTHS, costs)
    assert (found.value, found.low, found.high) == pytest.approx((power,) * 3, abs=1e-6)
    assert last_exponent(LENGTHS, costs) == pytest.approx(power)


def test_the_interval_holds_the_exponent_as_often_as_it_says():
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = exponent(LENGTHS, np.power(LENGTHS, 0.7) * np.exp(draw.normal(0, 0.1, 6)))
        hits += found.low < 0.7 < found.high
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


def test_of_a_sum_the_end_is_steeper_than_the_whole():
    costs = [100 + length for length in LENGTHS]
    found = exponent(LENGTHS, costs)
    assert 0 < found.value < last_exponent(LENGTHS, costs) < 1
    assert found.low < found.value < found.high


def test_two_lengths_have_an_exponent_without_an_interval():
    found = exponent([32, 64], [1, 4])
    assert found.value == pytest.approx(2)
    assert not found.known


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([2, 2, 2, 2], []),
        ([0.5, 0.5, 2, 2], [(64, 128)]),
        ([0.5, 1.05, 0.95, 2], [(32, 256)]),  # in between they count as equal
        ([0.5, 2, 0.5, 2], [(32, 64), (64, 128), (128, 256)]),
        ([1, 1, 1, 1], []),
    ],
)
def test_where_the_order_changes(second, expected):
    assert crossings(LENGTHS[:4], [1, 1, 1, 1], second, factor=1.1) == expected


def speeds(**change):
    """A study of speed: attention starts at half the time of the LSTM, and grows where it does not.

    One thread, steps of 4,096 tokens; training takes 100 µs a token with the LSTM.
    """
    results = made(
        {"transformer": 1.0, "lstm": 1.0},
        grid={"model.context": list(LENGTHS)},
        seeds=(1,),
        rates=(0.01,),
    )
    runs = results.runs.copy()
    length = runs["model.context"].astype(float)
    attention = runs["arm"] == "transformer"
    microseconds = np.where(attention, 50 * (length / 32) ** 0.5, 100)
    runs["tokens_per_second"] = 1e6 / microseconds
    runs["step_seconds"] = TOKENS * microseconds / 1e6
    runs["latency_ms"] = np.where(attention, length / 100, 0.4)
    runs["peak_memory_mb"] = np.where(attention, 305.0, 300.0)
    runs["threads"] = 1
    study = replace(results.study, measures="speed", sweep={})
    return replace(results, study=study, runs=runs.assign(**change))


def test_sentences_say_what_the_figures_are():
    section = SECTIONS["scaling"](speeds())
    training, generation, memory, *growth, where = section.sentences
    assert section.answers == 3
    assert training == (
        "Training: at 32 tokens transformer takes 50 µs/token, lstm 2 times that; at 1,024 tokens "
        "lstm takes 100 µs/token, transformer 2.83 times that. The order changes for transformer "
        "and lstm between 64 and 256 tokens."
    )
    assert "The order changes for transformer and lstm between 32 and 64 tokens." in generation
    assert memory == (
        "Memory of training: at 32 tokens lstm and transformer take about 300 MB; at 1,024 tokens "
        "lstm and transformer take about 300 MB."
    )
    assert growth[0] == (
        "Training, growth with the length: transformer has the exponent 0.50, from 512 to 1,024 "
        "tokens 0.50; lstm has the exponent 0.00, from 512 to 1,024 tokens 0.00."
    )
    assert where == (
        "Measured with 1 thread of torch on a processor: steps of 4,096 tokens in 4 to 128 "
        "windows, models with 802,080 to 809,080 parameters."
    )


def test_every_figure_is_in_the_tables():
    section = SECTIONS["scaling"](speeds())
    assert len(section.table) == 2 * len(LENGTHS)
    row = section.table.set_index(["arm", "tokens of context"]).loc[("transformer", 1024)]
    assert row["Training, µs/token"] == pytest.approx(50 * 32**0.5)
    assert row["Generation, ms/token"] == pytest.approx(10.24)
    powers = section.more["exponents"].set_index(["cost", "arm"])["exponent"]
    assert powers["Training, µs/token", "transformer"] == pytest.approx(0.5)
    assert powers["Generation, ms/token", "transformer"] == pytest.approx(1)
    assert powers["Memory of training, MB", "lstm"] == pytest.approx(0, abs=1e-9)
    assert len(section.figure.axes) == 3


def test_a_length_that_failed_is_left_out_of_every_comparison():
    results = speeds()
    lost = (results.runs["arm"] == "transformer") & (results.runs["model.context"] == 1024)
    runs = results.runs.copy()
    runs.loc[lost, "status"] = "failed"
    section = SECTIONS["scaling"](replace(results, runs=runs))
    assert "at 512 tokens lstm takes 100 µs/token, transformer 2 times that" in section.sentences[0]
    assert "lstm has the exponent 0.00, from 512 to 1,024" in section.sentences[3]


def test_nothing_is_shown_where_nothing_was_measured():
    results = speeds()
    assert SECTIONS["scaling"](failing(failing(results, "lstm", [1]), "transformer", [1])) is None
    assert SECTIONS["scaling"](made({"transformer": 1.0})) is None


def test_runs_that_were_trained_are_no_measurement_of_speed():
    results = speeds()
    trained = replace(results.study, measures="training")
    assert SECTIONS["scaling"](replace(results, study=trained)) is None


def test_a_memory_that_did_not_grow_has_no_logarithm():
    section = SECTIONS["scaling"](speeds(peak_memory_mb=0.0))
    assert section.answers == 2
    assert isinstance(section.table, pd.DataFrame)
