"""Test the sections about speed on made-up times of training and generation."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_results import failing, made

from minitx.study.report.rules.machine import kernels
from minitx.study.report.sections import SECTIONS

LENGTHS, BATCHES = (128, 512, 2048), (1, 64)
AXES = ["arm", "data.batch_size", "model.context"]


def speeds(seeds=(1, 2, 3, 4), spread=0.01, **change):
    """A study of speed. Microseconds per token: attention 20 + length / 64 with any batch; the
    LSTM 60 with a batch of 1 and 30 with 64. Every process is slower by a random percentage."""
    grid = {"data.batch_size": list(BATCHES), "model.context": list(LENGTHS)}
    results = made({"transformer": 1.0, "lstm": 1.0}, grid=grid, seeds=seeds, rates=(0.01,))
    runs = results.runs.copy()
    length = runs["model.context"].astype(float)
    attention = runs["arm"] == "transformer"
    recurrence = np.where(runs["data.batch_size"] == 1, 60, 30)
    noise = np.exp(np.random.default_rng(0).normal(0, spread, len(runs)))
    microseconds = np.where(attention, 20 + length / 64, recurrence) * noise
    runs["tokens_per_second"] = 1e6 / microseconds
    runs["step_seconds"] = runs["data.batch_size"] * length * microseconds / 1e6
    runs["latency_ms"] = np.where(attention, length / 100, 0.4)
    runs["peak_memory_mb"] = np.where(attention, 305.0, 300.0)
    runs["threads"] = 1
    study = replace(results.study, measures="speed", sweep={})
    return replace(results, study=study, runs=runs.assign(**change))


def test_sentences_say_what_the_figures_are():
    section = SECTIONS["scaling"](speeds(spread=1e-6))
    compared, *rest, where = section.sentences
    assert compared == (
        "Training time per token of lstm, compared with transformer at 6 points of the grid: "
        "longer at 4, most with 1 sequence, 128 tokens of context: 2.73 times (2.73 to 2.73); "
        "shorter at 1, most with 64 sequences, 2,048 tokens of context: 0.577 times (0.577 to "
        "0.577); equal at 1."
    )
    assert rest == [
        "With 128 tokens of context, a batch of 64 instead of 1 shortens the time per token by a "
        "factor of 1 (1 to 1) for transformer and 2 (2 to 2) for lstm.",
        "With 512 tokens of context, a batch of 64 instead of 1 shortens the time per token by a "
        "factor of 1 (1 to 1) for transformer and 2 (2 to 2) for lstm.",
        "With 2,048 tokens of context, a batch of 64 instead of 1 shortens the time per token by a "
        "factor of 1 (1 to 1) for transformer and 2 (2 to 2) for lstm.",
        "With 1 sequence, the time per token at 2,048 tokens of context, as a multiple of that at "
        "128, is 2.36 (2.36 to 2.36) for transformer and 1 (1 to 1) for lstm.",
        "With 64 sequences, the time per token at 2,048 tokens of context, as a multiple of that "
        "at 128, is 2.36 (2.36 to 2.36) for transformer and 1 (1 to 1) for lstm.",
    ]
    assert where == "Measured on a processor, with models of 802,080 to 809,080 parameters."
    assert section.answers == 7


def test_the_tables_have_the_times_the_ratios_and_the_growth():
    section = SECTIONS["scaling"](speeds())
    times = section.table.set_index(AXES)
    assert len(times) == 12
    assert set(times["processes"]) == {4}
    ratios = section.more["ratios"].set_index(AXES)
    growth = section.more["growth"].set_index(AXES[:2])
    for batch, length in product(BATCHES, LENGTHS):
        attention, lstm = 20 + length / 64, {1: 60, 64: 30}[batch]
        assert times["µs/token"]["lstm", batch, length] == pytest.approx(lstm, rel=0.03)
        row = ratios.loc["lstm", batch, length]
        assert row["low"] < row["ratio"] < row["high"]
        assert row["ratio"] == pytest.approx(lstm / attention, rel=0.03)
    for batch in BATCHES:
        assert growth["a, µs/token"]["transformer", batch] == pytest.approx(20, rel=0.05)
        assert growth["b, ns/token²"]["transformer", batch] == pytest.approx(1000 / 64, rel=0.05)
        row = growth.loc["lstm", batch]
        assert row["b low"] < 0.5
        assert row["b high"] > -0.5
    assert len(section.figure.axes) == len(BATCHES)


def test_times_whose_ratio_may_be_one_count_as_equal():
    unsteady = SECTIONS["scaling"](speeds(spread=1.0))
    ratios = unsteady.more["ratios"]
    unknown = (ratios["low"] < 1) & (ratios["high"] > 1)
    assert (ratios["ratio"][unknown] > 1.2).any()
    assert unsteady.sentences[0].endswith(f"; equal at {unknown.sum()}.")
    steady = SECTIONS["scaling"](speeds(spread=0.001)).sentences[0]
    assert steady.endswith("equal at 1.")  # 30 and 28 microseconds


def test_two_further_axes_give_rows_of_panels():
    results = speeds()
    halves = [results.runs.assign(**{"trainer.threads": threads}) for threads in (1, 2)]
    for half in halves:
        half["key"] += half["trainer.threads"].astype(str)
    runs = pd.concat(halves, ignore_index=True)
    grid = {"trainer.threads": [1, 2], **results.study.grid}
    section = SECTIONS["scaling"](
        replace(results, runs=runs, study=replace(results.study, grid=grid))
    )
    assert len(section.figure.axes) == 4
    assert len({axes.get_position().y0 for axes in section.figure.axes}) == 2
    assert "with 1 thread, 1 sequence, 128 tokens of context: 2.7" in section.sentences[0]


def test_a_difference_that_is_the_optimizers_is_named():
    """At 64 sequences of 512 tokens, both arms need as long without clipping and the optimizer."""
    results = speeds(spread=1e-3)
    runs = results.runs.copy()
    runs["forward_backward_seconds"] = runs["step_seconds"]
    place = (runs["data.batch_size"] == 1) & (runs["model.context"] == 128)
    runs.loc[place, "forward_backward_seconds"] = 0.01
    section = SECTIONS["scaling"](replace(results, runs=runs))
    assert section.sentences[0].endswith(
        "; without clipping and the optimizer also equal at (1 sequence, 128 tokens of context)."
    )
    ratios = section.more["ratios"].set_index(["data.batch_size", "model.context"])
    assert ratios.loc[(1, 128), "forward and backward alone"] == pytest.approx(1)
    other = ratios.loc[(1, 512)]
    assert other["forward and backward alone"] == pytest.approx(other["ratio"], rel=1e-2)


def test_a_point_that_failed_is_left_out_of_every_comparison():
    results = speeds()
    runs = results.runs.copy()
    lost = (runs["arm"] == "transformer") & (runs["model.context"] == 2048)
    runs.loc[lost, "status"] = "failed"
    section = SECTIONS["scaling"](replace(results, runs=runs))
    assert "compared with transformer at 4 points" in section.sentences[0]
    assert set(section.more["ratios"]["model.context"]) == {128, 512}
    generation = SECTIONS["generation"](replace(results, runs=runs))
    assert "at 512 tokens, lstm 0.0781" in generation.sentences[0]
    assert "2,048" not in generation.sentences[0]


def test_generation_and_memory_are_compared_at_both_ends():
    section = SECTIONS["generation"](speeds())
    assert section.answers == 2
    assert section.sentences == [
        "Generation time, relative to that of transformer: at 128 tokens, lstm 0.312; at 2,048 "
        "tokens, lstm 0.0195.",
        "Memory of training, relative to that of transformer: at 128 tokens, no difference is "
        "shown for lstm; at 2,048 tokens, no difference is shown for lstm.",
    ]
    assert section.finding == (
        "lstm generated faster than transformer in these runs at every length measured"
    )
    assert "with batches of 64" in section.note
    assert len(section.table) == 2 * len(LENGTHS)
    assert set(section.table["Generation time, processes"]) == {8}  # those of both batches
    assert set(section.table["Memory of training, processes"]) == {4}


@pytest.mark.parametrize(("spread", "shown"), [(0.05, True), (1.5, False)])
def test_noisy_generation_has_an_interval_and_shows_no_difference(spread, shown):
    results = speeds(latency_ms=1.0)
    noise = np.exp(np.random.default_rng(1).normal(0, spread, len(results.runs)))
    slower = np.where(results.runs["arm"] == "lstm", 2.0, 1.0)
    section = SECTIONS["generation"](speeds(latency_ms=slower * noise))
    rows = section.more["ratios"].query("cost == 'Generation time'")
    assert (rows["low"] < rows["ratio"]).all()
    assert (rows["ratio"] < rows["high"]).all()
    assert ("no difference is shown for lstm" in section.sentences[0]) is not shown
    slower = "lstm generated slower than transformer in these runs at every length measured"
    assert (section.finding == slower) is shown


def test_the_heading_counts_the_points_at_which_an_arm_is_fastest():
    # At 64 x 512 they are equal: 30 and 28 microseconds.
    assert SECTIONS["scaling"](speeds(spread=1e-3)).finding == (
        "transformer was fastest in these runs at 4 of 6 points; transformer and lstm at 1; lstm "
        "at 1"
    )


def test_no_growth_is_given_if_no_line_fits():
    results = speeds()
    length = results.runs["model.context"].astype(float)
    fixed = results.runs.assign(tokens_per_second=length * 100)
    growth = SECTIONS["scaling"](replace(results, runs=fixed)).more["growth"]
    assert (
        growth["fit"]
        .str.fullmatch(r"no fit: the best line falls, and is .* off at 128 tokens")
        .all()
    )
    assert growth.drop(columns=["arm", "data.batch_size", "fit"]).isna().all(axis=None)
    assert SECTIONS["scaling"](results).more["growth"]["fit"].str.startswith("at most ").all()


def test_memory_is_that_of_the_largest_batch_that_every_length_has():
    results = speeds()
    large = (results.runs["data.batch_size"] == 64) & (results.runs["model.context"] == 2048)
    section = SECTIONS["generation"](replace(results, runs=results.runs[~large]))
    assert "with batches of 1" in section.note
    assert set(section.table["tokens of context"]) == set(LENGTHS)


@pytest.mark.parametrize("name", ["scaling", "generation"])
def test_nothing_is_shown_if_nothing_was_measured(name):
    results = speeds(seeds=(1,))
    lost = failing(failing(results, "lstm", [1]), "transformer", [1])
    assert SECTIONS[name](lost) is None
    assert SECTIONS[name](made({"transformer": 1.0})) is None
    trained = replace(results.study, measures="training")
    assert SECTIONS[name](replace(results, study=trained)) is None


def test_a_memory_that_did_not_grow_is_not_drawn():
    section = SECTIONS["generation"](speeds(peak_memory_mb=0.0))
    assert section.answers == 1


def test_kernels_follow_from_the_arms_of_a_study_of_speed():
    """No settings of its runs are kept."""
    results = replace(speeds(), settings={})
    arms = {"transformer": ["model=transformer"], "lstm": ["model=lstm", "trainer.fused=false"]}
    assert kernels(replace(results, study=replace(results.study, arms=arms))) == (
        "transformer: scaled_dot_product_attention; lstm: nn.LSTM, a loop over time"
    )
    arms = {"hybrid": ["model.mixer=attention"], "gru": ["model=gru"]}
    assert kernels(replace(results, study=replace(results.study, arms=arms))) == (
        "hybrid: scaled_dot_product_attention; gru: nn.GRU, a loop over time on a CPU, fused on a "
        "GPU"
    )
