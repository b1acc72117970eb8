"""Test the sections of a report on results whose answers are known."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fair_results import changed
from made_results import failing, made

from minitx.drawing import figures
from minitx.drawing.figures import png
from minitx.errors import UserError
from minitx.metrics.decomposable import MEASURES
from minitx.study.report import comparison
from minitx.study.report.sections import SECTIONS, sections_of
from minitx.study.report.sections.crossover import _Pair, last_crossing
from minitx.study.report.sections.heads import prunable
from minitx.study.results.octaves import octaves

ARMS = {"transformer": 2.19, "lstm": 2.13, "gru": 2.2}


def one(results, name):
    return SECTIONS[name](results)


def test_every_section_is_there_and_in_the_order_of_the_study():
    results = made(ARMS, sections=("tuning", "quality", "crossover"))
    assert [section.name for section in sections_of(results)] == ["tuning", "quality"]
    for name in SECTIONS:
        assert callable(SECTIONS[name])


def test_an_unknown_section_is_refused():
    with pytest.raises(UserError, match=r"qualty.*did you mean quality\?"):
        sections_of(made(ARMS, sections=("qualty",)))


def test_quality_has_a_row_for_every_arm_and_names_those_without_runs():
    section = one(failing(made(ARMS), "gru", [1, 2, 3]), "quality")
    assert list(section.table["arm"]) == ["transformer", "lstm", "gru"]
    assert list(section.table["seeds finished"]) == [3, 3, 0]
    assert list(section.table["seeds planned"]) == [3, 3, 3]
    assert "No run of gru finished." in section.sentences
    assert png(section.figure)


def test_names_of_arms_are_taken_literally(monkeypatch):
    monkeypatch.setattr(figures, "_fonts", lambda: ["DejaVu Sans"])  # others have more characters
    names = ["$a_", "_b", "\\frac", "[b]\x1b[31m", "漢\u202e"]
    drawn = ["$a_", "_b", "\\frac", "[b]□[31m", "□□"]
    for section in sections_of(made(dict.fromkeys(names, 2.0))):
        if section.figure is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            png(section.figure)
        [legend] = section.figure.legends or [None]
        if legend is None:
            ranked = [each.get_text() for each in section.figure.axes[0].get_yticklabels()]
            assert sorted(ranked) == sorted(drawn)
        else:
            assert [each.get_text() for each in legend.get_texts()] == drawn


def test_quality_needs_a_finished_run():
    results = made({"gru": 2.2})
    assert one(failing(results, "gru", [1, 2, 3]), "quality") is None


def test_curves_rank_at_equal_tokens_operations_and_time():
    results = made(ARMS)
    costs = {"transformer": 3e6, "lstm": 2e6, "gru": 1e6}
    results.runs["operations_per_token"] = results.runs["arm"].map(costs)
    section = one(results, "curves")
    tokens, operations, time = section.sentences
    assert operations.startswith("After 0.384 trillion operations")  # of all tokens of gru
    last = section.table[section.table["arm"] == "gru"].iloc[-1]
    assert f"gru {last['val/bits_per_byte']:.3f}" in operations
    at_end = {
        arm: np.interp(0.384e12, rows["forward operations"], rows["val/bits_per_byte"])
        for arm, rows in section.table.groupby("arm")
    }
    places = [operations.index(f"{arm} ") for arm in sorted(at_end, key=at_end.get)]
    assert places == sorted(places)
    assert tokens.startswith("After 384,000 tokens")
    # gru is through first, when the others are still on their way.
    assert time.startswith("After 62 s")
    rows = section.table.set_index(["arm", "step"])
    assert f"gru {rows.loc[('gru', 500), 'val/bits_per_byte']:.3f}" in time
    at_62 = np.interp(
        62, rows.loc["lstm", "training seconds"], rows.loc["lstm", "val/bits_per_byte"]
    )
    assert f"lstm {at_62:.3f}" in time
    assert set(section.table["seeds"]) == {3}


def test_a_mean_of_curves_ends_where_its_first_seed_ends():
    results = made(ARMS)
    key = results.runs.loc[results.runs["arm"] == "lstm", "key"].iloc[-1]
    kept = (results.curves["key"] != key) | (results.curves["step"] <= 250)
    table = one(replace(results, curves=results.curves[kept]), "curves").table
    assert table.groupby("arm")["step"].max().to_dict() == {
        "transformer": 500,
        "lstm": 250,
        "gru": 500,
    }


def test_curves_have_no_time_if_the_machine_was_shared():
    section = one(changed(made(ARMS), "lstm", cpu_seconds=1.0), "curves")
    assert not any("fastest" in sentence for sentence in section.sentences)
    assert "Other work shared the machine, so times are not compared." in section.note
    labels = [axes.get_xlabel() for axes in section.figure.axes]
    assert "training seconds" not in labels


@pytest.mark.parametrize("measure", ["bits_per_byte", "wer"])
def test_curves_take_the_loss_if_val_lacks_the_metric(measure):
    results = made(ARMS, measure=measure)
    curves = results.curves.drop(columns=f"val/{measure}")
    section = one(replace(results, curves=curves), "curves")
    assert "val/loss" in section.table
    assert "loss (nats/token) on val was: lstm 2." in section.sentences[0]
    assert "%" not in section.sentences[0]


def test_cost_names_the_ratio_of_speeds():
    section = one(made(ARMS), "cost")
    rows = section.table.set_index("arm")["tokens/s in training"]
    assert f"lstm {rows['lstm']:,.0f}"[:8] in section.sentences[0]
    assert f"{rows['lstm'] / rows['transformer']:.2f} times that" in section.sentences[0]
    unknown = made(ARMS)
    unknown.runs["latency_ms"] = np.nan
    section = one(unknown, "cost")
    assert "latency, ms/token" not in section.table
    assert len(section.sentences) == 1
    assert png(section.figure)


STATES = {"transformer": 16_384, "lstm": 256, "gru": 128}


@pytest.fixture
def with_states():
    """Results of the three arms, whose states differ in size."""
    results = made(ARMS)
    results.runs["state_size"] = results.runs["arm"].map(STATES)
    return results


def test_quality_is_shown_against_the_size_of_the_state(with_states):
    section = one(with_states, "state")
    assert list(section.table["arm"]) == ["gru", "lstm", "transformer"]
    assert list(section.table["state, kB"]) == [0.512, 1.024, 65.536]  # four bytes a number
    assert "gru 0.512, lstm 1.02 and transformer 65.5." in section.sentences[0]
    assert "gru (0.512 kB, 2.2" in section.sentences[1]
    assert "lstm (1.02 kB, 2.1" in section.sentences[1]
    assert "transformer" not in section.sentences[1]  # the LSTM has a lower mean and less state
    assert png(section.figure)


def test_one_arm_may_have_the_smallest_state_and_the_best_mean(with_states):
    with_states.runs["state_size"] += 1000 * (with_states.runs["arm"] == "gru")
    _, sentence = one(with_states, "state").sentences
    assert sentence == "In these runs, lstm had both the smallest state and the lowest mean."


def test_equal_arms_are_both_named_before_a_larger_one(with_states):
    equal = {"transformer": (2048, 3.0), "lstm": (128, 2.0), "gru": (128, 2.0)}
    runs = with_states.runs
    for arm, (size, level) in equal.items():
        runs.loc[runs["arm"] == arm, ["state_size", with_states.metric]] = size, level
    _, sentence = one(with_states, "state").sentences
    assert "for each of lstm (0.512 kB, 2.000) and gru (0.512 kB, 2.000), no arm" in sentence


def test_states_of_one_size_are_not_compared(with_states):
    with_states.runs["state_size"] = 128
    assert one(with_states, "state") is None
    assert one(made(ARMS), "state") is None


def test_a_shared_machine_has_no_fastest_arm():
    """Only tokens per second of CPU time are compared: the LSTM waited for the other programs."""
    results = made(ARMS, seeds=(1, 2, 3, 4))
    runs = results.runs
    waited = np.where(runs["arm"] == "lstm", 5.0, 1.0)
    cpu = 384_000 / np.where(runs["arm"] == "lstm", 20_000, 10_000) * (1 + 0.01 * runs["seed"])
    busy = {"cpu_seconds": cpu, "train_seconds": waited * cpu, "threads": 1}
    section = one(replace(results, runs=runs.assign(**busy)), "cost")
    assert section.finding == ""
    times, by_cpu = section.sentences
    assert times.startswith("Other work shared the machine")
    assert by_cpu == (
        "transformer was trained on 9,760 tokens per second of CPU time in these runs; lstm "
        "19,500, 2 times that (1.96 to 2.04); gru 9,760, no difference is shown."
    )
    assert [axes.get_xlabel() for axes in section.figure.axes] == ["CPU seconds of training"]
    alone = one(replace(results, runs=runs.assign(**busy | {"train_seconds": cpu})), "cost")
    assert alone.finding == "gru trained fastest in these runs"


def test_equal_speeds_share_the_first_place():
    results = made(ARMS, seeds=(1, 2, 3, 4))
    speeds = results.runs["arm"].map({"transformer": 1050.0, "lstm": 1000.0, "gru": 500.0})
    fast = replace(results, runs=results.runs.assign(tokens_per_second=speeds))
    assert one(fast, "cost").finding == "transformer and lstm trained fastest in these runs"
    same = replace(results, runs=results.runs.assign(tokens_per_second=1000.0))
    assert one(same, "cost").finding == "no difference in speed is shown"


def test_a_classifier_generates_no_token():
    section = one(replace(made(ARMS, measure="accuracy"), task="genre"), "cost")
    assert "latency, ms/text" in section.table
    words = " ".join([*section.sentences, section.note])
    assert "to classify a text" in words
    assert "token generated" not in words
    assert "generate a token" not in words


def test_what_failed_was_not_chosen():
    results = made(ARMS)
    lost = (results.runs["arm"] == "lstm") & results.runs["swept"]
    results.runs.loc[lost, ["status", "val/loss"]] = "failed", None
    section = one(results, "tuning")
    assert set(section.table[section.table["arm"] == "lstm"]["chosen"]) == {""}
    assert section.figure is not None
    named = [text.get_text() for text in section.figure.legends[0].get_texts()]
    assert named == ["transformer", "gru"]


def test_tuning_names_the_rate_and_says_where_the_sweep_was_too_narrow():
    inside, edge = (one(made(ARMS, best_rate=rate), "tuning") for rate in (0.01, 0.02))
    assert (
        "lstm: the sweep chose muon_lr 0.01 from muon_lr 0.005, 0.01 and 0.02"
        in (inside.sentences[1])
    )
    assert all("too narrow" not in sentence for sentence in inside.sentences)
    assert all("too narrow" in sentence for sentence in edge.sentences)
    chosen = edge.table[edge.table["chosen"] == "chosen"]
    assert set(chosen["optimizer.muon_lr"]) == {0.02}


def test_nothing_is_chosen_before_a_run_has_finished():
    results = made(ARMS)
    runs = results.runs.assign(status="missing")
    section = one(replace(results, runs=runs), "tuning")
    assert section.sentences[0].endswith(
        "nothing was chosen, because no run of its sweep finished."
    )
    assert not any("nan" in sentence for sentence in section.sentences)


def test_nothing_is_chosen_while_the_sweep_runs():
    results = made(ARMS)
    swept = results.runs[results.runs["swept"]]
    runs = swept.assign(chosen=False, status=["missing", *["finished"] * (len(swept) - 1)])
    section = one(replace(results, runs=runs), "tuning")
    assert all(
        sentence.endswith("nothing was chosen, because the sweep has not ended.")
        for sentence in section.sentences
    )


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_sections_have_nothing_to_show_where_nothing_finished(name):
    grid = {"data.train_fraction": [0.1, 1.0], "task.pairs": [4, 8]}
    results = made({"a": lambda *p: 2.0, "b": lambda *p: 2.1}, grid=grid)
    known = ["key", "folder", "status", "reason", "arm", *grid, "optimizer.muon_lr"]
    runs = results.runs[[*known, "seed", "swept", "chosen"]].assign(status="missing")
    nothing = replace(
        results,
        runs=runs.assign(**{"val/loss": np.nan}),
        curves=pd.DataFrame(),
        items={},
        details={},
    )
    section = one(nothing, name)
    assert section is None or name == "tuning"


def test_tuning_is_nothing_without_a_sweep():
    assert one(made(ARMS, rates=(0.01,)), "tuning") is None


def test_the_axis_names_the_best_and_compares_the_others_with_it(monkeypatch):
    monkeypatch.setattr(comparison, "may_claim", lambda results: True)
    heads = {"transformer": lambda h: 2.2 if h < 4 else 2.1}
    results = made(heads, grid={"model.heads": [1, 2, 4, 8]}, seeds=range(1, 6), sections=("axis",))
    [sentence] = one(results, "axis").sentences
    assert "worse with 1 and 2 heads; no difference is shown with 4 heads" in sentence
    monkeypatch.setattr(comparison, "may_claim", lambda results: False)
    [sentence] = one(results, "axis").sentences
    assert "higher in these runs with 1 and 2 heads; no difference is shown with" in sentence
    assert one(made(ARMS), "axis") is None


def test_a_mean_of_more_seeds_may_be_best_and_behind_over_those_that_are_shared(monkeypatch):
    monkeypatch.setattr(comparison, "may_claim", lambda results: False)
    results = made(
        {"transformer": lambda h: 2.2 if h == 1 else 2.3},
        grid={"model.heads": [1, 2]},
        seeds=range(1, 6),
        spread=0.001,
        sections=("axis",),
    )
    runs = results.runs.copy()
    two, last = runs["model.heads"] == 2, runs["seed"] == 5
    runs.loc[two & last, results.metric] = 1.0
    runs.loc[~two & last & runs["chosen"], "status"] = "failed"
    [sentence] = one(replace(results, runs=runs), "axis").sentences
    assert sentence.startswith("transformer has its lowest mean with 2 heads")
    assert "lower in these runs with 1 head" in sentence


def test_an_axis_of_words_is_none():
    results = made({"transformer": lambda p: 2.2}, grid={"model.position": ["rotary", "none"]})
    assert one(results, "axis") is None


def test_where_two_arms_cross():
    shares = [0.01, 0.1, 1.0]
    arms = {
        "transformer": lambda s: 0.5 + 0.1 * (-np.log10(s) - 0.5),
        "lstm": lambda s: 0.5,
    }
    grid = {"data.train_fraction": shares}
    section = one(made(arms, grid=grid, spread=0.004, seeds=range(1, 6)), "crossover")
    [row] = section.more["crossings"].to_dict("records")
    # They meet where log10(share) is -0.5.
    assert row["low"] < 10**-0.5 < row["high"]
    assert row["last crossing at a fraction of"] == pytest.approx(10**-0.5, rel=0.15)
    assert row["draws that cross"] > 0.99
    assert "transformer overtakes lstm" in section.sentences[0]
    assert "95% interval over 5 seeds" in section.sentences[0]
    few = one(made(arms, grid=grid, spread=0.004), "crossover")
    assert "3 seeds at a point are too few for an interval" in few.sentences[0]
    assert np.isnan(few.more["crossings"]["low"][0])
    assert png(section.figure)


def test_curves_may_not_cross_in_this_range():
    arms = {"transformer": lambda s: 0.5, "lstm": lambda s: 0.4}
    section = one(made(arms, grid={"data.train_fraction": [0.01, 0.1, 1.0]}), "crossover")
    assert section.sentences[0].startswith(
        "The curves do not cross up to 100% of the data: the mean of lstm is lower than that of "
        "transformer at every fraction from 1% on"
    )
    assert np.isnan(section.more["crossings"]["low"][0])


def test_the_interval_of_a_crossing_holds():
    """The lead is -1, 1 and 3 at 1%, 10% and 100%, so that it changes sign at 10**-1.5."""
    draw, rounds = np.random.default_rng(1), 300
    held = 0
    for _ in range(rounds):
        batches = draw.normal(0, 2, (3, 5))
        leads = np.array([[-1.0], [1.0], [3.0]]) + draw.normal(0, 0.3, (3, 5))
        pair = _Pair(
            ("a", "b"),
            MEASURES["bits_per_byte"],
            [0.01, 0.1, 1.0],
            [
                (20 + shared, 20 + shared + lead)
                for shared, lead in zip(batches, leads, strict=True)
            ],
        )
        held += pair.crossing.low <= 10**-1.5 <= pair.crossing.high
    assert held / rounds >= 0.93


def test_crossings_lie_on_straight_lines_over_the_logarithm():
    leads = np.array([[-1.0, 1.0, 1.0], [-1, -1, -1], [1, -1, 3], [0.0, 0.0, 0.0]])
    found = last_crossing([0.01, 0.1, 1.0], leads)
    assert found[[0, 2]] == pytest.approx([10**-1.5, 10**-0.75])
    assert np.isnan(found[[1, 3]]).all()


def heads_of(arm, point, seed):
    heads = [
        {"attention": "layers.0.mixer", "head": head, "entropy": 3.0 / point[0]}
        | {"diversity": 0.5 if point[0] > 1 else np.nan}
        for head in range(point[0])
    ]
    pruning = [
        {"heads_switched_off": k, "share": k / point[0], "loss": 2.0, "cost": 0.004 * k}
        for k in range(point[0] + 1)
    ]
    return {"heads": pd.DataFrame(heads), "pruning": pd.DataFrame(pruning)}


def test_heads_are_measured_by_their_number():
    results = made(
        {"transformer": lambda h: 2.2, "lstm": lambda h: 2.2},
        grid={"model.heads": [1, 2, 8]},
        details=lambda arm, *rest: heads_of(arm, *rest) if arm == "transformer" else {},
    )
    section = one(results, "heads")
    assert list(section.table["arm"]) == [
        f"transformer with {n}" for n in ("1 head", "2 heads", "8 heads")
    ]
    assert list(section.table["mean entropy, nats"]) == pytest.approx([3, 1.5, 0.375])
    assert np.isnan(section.table["mean distance between heads"][0])
    # Each head costs 0.4%: two may go.
    assert list(section.table["heads that can be removed for a 1% higher loss"]) == [1, 1, 0.25]
    assert "mean distance between heads 0.50 (2 heads) to 0.50" in section.sentences[0]
    assert png(section.figure)
    assert one(made(ARMS), "heads") is None


@pytest.mark.parametrize(
    ("costs", "share"), [([0, 0.02, 0.0], 0), ([0, 0.005, 0.02], 0.5), ([0, 0, 0.009], 1)]
)
def test_heads_go_until_the_loss_is_worse(costs, share):
    rows = {"heads_switched_off": [0, 1, 2], "share": [0, 0.5, 1], "cost": costs}
    assert prunable(pd.DataFrame(rows).sample(frac=1, random_state=1)) == share


def test_octaves_end_with_the_context():
    positions = pd.DataFrame({"position": range(1, 13), "nats": range(12, 0, -1), "count": 5})
    found = octaves(positions)
    assert list(found.index) == [1, 3, 6, 12]
    assert list(found) == pytest.approx([12, 10.5, 8, 3.5])


def positions_of(arm, point, seed):
    place = np.arange(1, 65)
    gain = {"transformer": 0.2 + 0.001 * seed, "lstm": 0.1 + 0.0001 * seed}[arm]
    nats = 3 - gain * np.ceil(np.log2(place))
    return {"positions": pd.DataFrame({"position": place, "nats": nats, "count": 100})}


def test_the_loss_at_positions_is_a_mean_over_seeds():
    how = {"details": positions_of, "sections": ("positions",)}
    section = one(made({"transformer": 2.2, "lstm": 2.1}, seeds=(1, 2, 3, 4), **how), "positions")
    last = section.table[section.table["to"] == 64].set_index("arm")["loss, nats/token"]
    assert last["transformer"] == pytest.approx(3 - 6 * 0.2025)
    assert last["lstm"] == pytest.approx(3 - 6 * 0.10025)
    assert png(section.figure)
