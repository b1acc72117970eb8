"""Test when a report calls a model better, and what it says otherwise."""

from dataclasses import replace
from functools import partial

import made_results
import numpy as np
import pandas as pd
import pytest
from made_results import failing

from minitx.study.report import comparison
from minitx.study.report.comparison import compare, pairs_of
from minitx.study.report.report import compose
from minitx.study.report.sections import axis
from minitx.study.report.sections.quality import section
from minitx.study.report.verdict import Verdict, table
from minitx.study.results.conditions import conditions_of

SEEDS = (1, 2, 3, 4, 5)
made = partial(made_results.made, seeds=SEEDS)


@pytest.fixture(autouse=True)
def fair(monkeypatch):
    """All rules are kept, unless a test says otherwise."""
    monkeypatch.setattr(comparison, "may_claim", lambda results: True)


def compared(results):
    [found] = compare(results, pairs_of(conditions_of(results)))
    return found


def test_better_needs_both_intervals():
    clear = compared(made({"transformer": 2.0, "lstm": 2.2}))
    assert clear.verdict is Verdict.BETTER
    assert clear.items.high < 0
    assert clear.seeds.high < 0
    assert clear.sentence().startswith("transformer is better than lstm: ")
    assert "95% interval over test items" in clear.sentence()
    assert "over 5 shared seeds" in clear.sentence()
    assert clear.p == max(clear.items.p, clear.seeds.p) < 0.05


def test_the_one_that_is_better_comes_first_whatever_the_order():
    turned = compared(made({"transformer": 2.2, "lstm": 2.0}))
    assert turned.verdict is Verdict.WORSE
    assert turned.sentence().startswith("lstm is better than transformer: ")
    assert "lower by" in turned.sentence()


def test_higher_is_better_for_some_measures():
    right = compared(made({"transformer": 0.8, "lstm": 0.7}, measure="accuracy"))
    assert right.verdict is Verdict.BETTER
    assert "higher by" in right.sentence()
    assert "percentage points" in right.sentence()


def test_seeds_that_scatter_take_the_word_away():
    scattered = compared(made({"transformer": 2.17, "lstm": 2.2}, spread=0.08))
    assert scattered.items.excludes_zero  # of these runs there is no doubt
    assert not scattered.seeds.excludes_zero
    assert scattered.verdict is Verdict.NOT_SHOWN
    assert "is better than" not in scattered.sentence()
    assert scattered.sentence().startswith("No difference is shown")


def test_items_that_scatter_take_the_word_away():
    close = compared(made({"transformer": 2.198, "lstm": 2.2}, spread=0.0001))
    assert close.seeds.excludes_zero
    assert not close.items.excludes_zero
    assert close.verdict is Verdict.NOT_SHOWN


@pytest.mark.parametrize("seeds", [(1,), (1, 2), (1, 2, 3)])
def test_few_seeds_speak_of_these_runs_alone(seeds):
    few = compared(made({"transformer": 2.0, "lstm": 2.2}, seeds=seeds))
    assert few.verdict is Verdict.AHEAD
    assert few.sentence().startswith(
        "transformer had a lower mean than lstm in these runs; other seeds may differ: 2."
    )
    assert "too few for an interval; p over test items below 0.001" in few.sentence()
    assert "better" not in few.sentence()
    turned = compared(made({"a": 0.7, "b": 0.8}, seeds=seeds, measure="accuracy"))
    assert turned.verdict is Verdict.BEHIND
    assert turned.sentence().startswith("b had a higher mean than a in these runs")


def test_seeds_that_learn_or_do_not_give_no_verdict_over_seeds():
    """Seeds of 99.6, 99.6 and 6.3% against three of 6%: these runs differ, others may not."""
    results = made({"a": 0.7, "b": 0.06}, seeds=(1, 2, 3), measure="accuracy")
    for arm, values in (("a", [0.996, 0.996, 0.063]), ("b", [0.06, 0.06, 0.06])):
        counts = (results.runs["arm"] == arm) & results.runs["chosen"]
        results.runs.loc[counts, results.metric] = values
    found = compared(results)
    assert not found.seeds.known
    assert found.verdict is Verdict.AHEAD
    [row, _] = section(results).table.to_dict("records")
    assert np.isnan(row["low"])
    assert row["single seeds"] == "0.996; 0.996; 0.063"


def test_a_study_that_broke_a_rule_speaks_of_its_runs_alone(monkeypatch):
    monkeypatch.setattr(comparison, "may_claim", lambda results: False)
    found = compared(made({"transformer": 2.0, "lstm": 2.2}))
    assert found.seeds.excludes_zero
    assert found.verdict is Verdict.AHEAD
    assert found.sentence().startswith("transformer had a lower mean than lstm in these runs: 2.")
    assert "other seeds may differ" not in found.sentence()


def test_the_quick_preset_never_says_better(monkeypatch):
    monkeypatch.undo()  # the rules themselves
    shares = {"data.train_fraction": [0.1, 1.0]}
    heads = {"model.heads": [1, 2, 4]}
    for grid in ({}, shares, heads):
        results = made(
            {"a": lambda *point: 2.0 + sum(point) / 10, "b": lambda *point: 2.5},
            grid=grid,
            preset="quick",
            sections=("quality", "axis", "crossover", "curves", "cost", "doublings", "tuning"),
            details=details_of_doublings,
        )
        report = compose(results)
        said = [sentence for each in report.sections for sentence in each.sentences]
        assert any("in these runs" in sentence for sentence in said)
        for sentence in [*report.answer, *said]:
            assert "better" not in sentence
            assert "worse" not in sentence


def details_of_doublings(arm, point, seed):
    """What each doubling of the context gains, 0.1 nats or about twice as much."""
    gain = {"a": 0.2 + 0.001 * seed, "b": 0.1}[arm]
    rows = [
        {"context": 2**n, "cluster": cluster, "nats": 100 * (3 - gain * n), "targets": 100}
        for n in range(7)
        for cluster in range(5)
    ]
    return {"doublings": pd.DataFrame(rows)}


def test_seeds_are_paired_by_their_number():
    results = made({"transformer": 2.0, "lstm": 2.01}, spread=0.0001)
    batches = np.array([0.1, -0.2, 0.3, 0.0, -0.1])
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0])
    for arm, values in (("transformer", 2.0 + batches), ("lstm", 2.01 + batches + noise)):
        counts = (results.runs["arm"] == arm) & results.runs["chosen"]
        results.runs.loc[counts, results.metric] = values
    assert compared(results).seeds.excludes_zero  # the batches are the same
    shuffled = replace(results, runs=results.runs.sample(frac=1, random_state=1))
    [one] = compare(shuffled, pairs_of(conditions_of(results)))
    assert one.seeds == compared(results).seeds
    unpaired = replace(results, runs=results.runs.copy())
    lstm = (unpaired.runs["arm"] == "lstm") & unpaired.runs["chosen"]
    unpaired.runs.loc[lstm, "seed"] = [5, 1, 2, 3, 4]
    assert not compared(unpaired).seeds.excludes_zero


def test_only_seeds_of_both_are_compared():
    results = failing(made({"transformer": 2.0, "lstm": 2.2}), "lstm", [5])
    results.runs.loc[results.runs["key"] == "transformer--0.01-5", results.metric] = 9.0
    found = compared(results)
    assert found.shared == [1, 2, 3, 4]
    assert found.means[0] == pytest.approx(2.0, abs=0.02)
    assert found.seeds.value == pytest.approx(found.means[0] - found.means[1])
    assert found.items.value == pytest.approx(found.seeds.value)  # without the seed's items
    assert found.verdict is Verdict.BETTER


def test_without_a_seed_of_both_there_is_no_interval_over_seeds():
    results = made({"transformer": 2.0, "lstm": 2.2})
    lstm = results.runs["arm"] == "lstm"
    results.runs.loc[lstm, "seed"] += 100
    found = compared(results)
    assert found.shared == []
    assert found.seeds.value == pytest.approx(-0.2, abs=0.03)
    assert found.verdict is Verdict.AHEAD


def test_all_comparisons_of_a_report_are_corrected_together():
    arms = {"a": lambda h: 2.0, "b": lambda h: 2.02}
    sections = ("quality", "axis")
    results = made(arms, grid={"model.heads": [1, 2, 4]}, sections=sections, spread=0.012)
    found = compare(results, pairs_of(conditions_of(results)))
    # Three pairs of arms, and for each arm three pairs of numbers of heads.
    assert {each.tests for each in found} == {9}
    alone = [max(each.items.p, each.seeds.p) for each in found]
    assert all(each.p >= p for each, p in zip(found, alone, strict=True))
    assert any(each.p > p for each, p in zip(found, alone, strict=True))
    single = made({"a": 2.0, "b": 2.02}, sections=("quality",), spread=0.012)
    assert compared(single).tests == 1
    line = axis.section(results).more["comparisons"].to_dict("records")
    assert [(row["first"], row["second"]) for row in line if row["first"][0] == "a"]
    assert "corrected for all 9 comparisons of this report (Holm)" in section(results).note


def test_a_difference_may_not_survive_the_correction():
    levels = dict.fromkeys("abcde", 2.0) | {"b": 2.012}
    alone = made({name: levels[name] for name in "ab"}, spread=0.006, draw=4)
    assert compared(alone).verdict is Verdict.BETTER
    assert compared(alone).p > 0.05 / 10
    together = made(levels, spread=0.006, draw=4)
    found = compare(together, pairs_of(conditions_of(together)))
    assert len(found) == 10
    assert found[0].seeds.excludes_zero
    assert found[0].verdict is Verdict.NOT_SHOWN
    assert f"; corrected p {found[0].p:.3f})" in found[0].sentence()


def test_items_of_a_cluster_are_resampled_together():
    results = made({"transformer": 2.19, "lstm": 2.2}, spread=0.0005)
    scene = np.repeat(np.arange(8), made_results.ITEMS // 8)
    for key, items in results.items.items():
        if key.startswith("lstm"):  # one scene makes the whole difference
            items[:, 0] += np.where(scene == 0, 40.0, -5.0)
    found = compared(results)
    clusters = dict.fromkeys(results.items, scene)
    clustered = compared(replace(results, clusters=clusters))
    assert clustered.items.value == found.items.value
    assert clustered.items.high - clustered.items.low > 3 * (found.items.high - found.items.low)
    assert not clustered.items.excludes_zero
    partly = {key: scene for key in results.items if key.startswith("lstm")}
    assert compared(replace(results, clusters=partly)).items == clustered.items


def test_reports_name_what_was_resampled():
    results = made({"transformer": 2.0, "lstm": 2.2})
    assert "of single items, which are assumed to be independent" in section(results).note
    scene = np.repeat(np.arange(40), made_results.ITEMS // 40)
    scenes = replace(results, clusters=dict.fromkeys(results.items, scene))
    assert "10,000 resamples of 40 clusters of items" in section(scenes).note
    assert "of 40 clusters of items, from 400 test items" in compose(scenes).how["intervals"]
    none = replace(results, study=replace(results.study, sections=["cost"]))  # no difference
    assert compose(none).how["intervals"] == (
        "95%; over seeds: Student's t on the log scale for a mean, none for fewer than 4 seeds"
    )


def test_what_is_alike_is_neither_higher_nor_lower():
    results = made({"transformer": 2.0, "lstm": 2.2})
    results.runs["test/bits_per_byte"] = 2.0
    assert "exactly equal" in compared(results).sentence()


def test_items_and_seeds_that_disagree_show_nothing():
    results = made({"transformer": 2.0, "lstm": 2.2}, seeds=(1,))
    results.runs["test/bits_per_byte"] *= -1  # the items lead one way, their mean the other
    assert compared(results).verdict is Verdict.NOT_SHOWN


def test_failed_seeds_are_named():
    results = failing(made({"transformer": 2.0, "lstm": 2.2}), "lstm", [5])
    assert (
        "left out, because they failed, are missing or have no counterpart: 1 of 5 seeds of "
        "transformer and 1 of 5 seeds of lstm"
    ) in compared(results).sentence()
    results = failing(results, "lstm", [4], status="missing")
    assert compared(results).verdict is Verdict.AHEAD
    nothing = compared(failing(results, "lstm", [1, 2, 3]))
    assert nothing.verdict is Verdict.NOT_COMPARED
    assert nothing.sentence() == (
        "transformer and lstm cannot be compared: no run of lstm finished."
    )


def test_test_sets_that_differ_are_not_paired():
    results = made({"transformer": 2.0, "lstm": 2.2})
    for key in results.items:
        if key.startswith("lstm"):
            results.items[key] = results.items[key][:-1]
    assert compared(results).verdict is Verdict.NOT_COMPARED
    assert compared(results).sentence() == (
        "transformer and lstm cannot be compared: their corpora or test items differ."
    )


def test_items_of_two_corpora_are_not_paired_either():
    results = made({"transformer": 2.0, "lstm": 2.2})
    results.runs.loc[results.runs["arm"] == "lstm", "data_fingerprint"] = "another"
    assert compared(results).verdict is Verdict.NOT_COMPARED


def test_the_figures_of_a_sentence_are_in_the_table():
    results = made({"transformer": 2.0, "lstm": 2.2})
    [row] = table([compared(results)]).to_dict("records")
    sentence = compared(results).sentence()
    for value in (row["first's mean"], row["second's mean"]):
        assert f"{value:.3f}" in sentence
    assert f"{-row['difference']:.4f}" in sentence
    assert f"{-row['high over items']:.4f} to {-row['low over items']:.4f}" in sentence
    assert f"{-row['high over seeds']:.4f} to {-row['low over seeds']:.4f}" in sentence
    assert row["difference"] == pytest.approx(row["first's mean"] - row["second's mean"])
    finished = results.finished.groupby("arm")[results.metric].mean()
    assert row["first's mean"] == pytest.approx(finished["transformer"])


def test_every_two_arms_are_compared_and_of_many_each_with_the_first():
    few = conditions_of(made({"a": 2.0, "b": 2.1, "c": 2.2}))
    assert [(one.arm, other.arm) for one, other in pairs_of(few)] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    many = conditions_of(made(dict.fromkeys("abcdefgh", 2.0)))
    assert {one.arm for one, _ in pairs_of(many)} == {"a"}
    assert len(pairs_of(many)) == 7


def test_arms_are_compared_where_the_grid_is_the_same():
    results = made({"a": lambda h: 2.0, "b": lambda h: 2.3}, grid={"model.heads": [1, 2]})
    pairs = pairs_of(conditions_of(results))
    assert [(one.name, other.name) for one, other in pairs] == [
        ("a with 1 head", "b with 1 head"),
        ("a with 2 heads", "b with 2 heads"),
    ]
    quality = section(results)
    assert quality.sentences[0] == "a and b: a is better with 1 and 2 heads."
    assert quality.answers == 1


def test_without_a_difference_better_is_seldom_said():
    said = 0
    for seed in range(20):
        seeds = tuple(range(5 * seed + 1, 5 * seed + 6))
        results = made({"a": 2.0, "b": 2.0}, seeds=seeds, draw=seed)
        said += compared(results).verdict in (Verdict.BETTER, Verdict.WORSE)
    assert said <= 3  # 5% of 20 are 1


def test_nan_is_never_better():
    results = made({"transformer": 2.0, "lstm": 2.2})
    runs = results.runs
    runs.loc[runs["arm"] == "lstm", results.metric] = np.nan
    assert compared(results).verdict is Verdict.NOT_COMPARED
