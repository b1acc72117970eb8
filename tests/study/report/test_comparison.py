"""Test when a report calls a model better, and what it says otherwise."""

import numpy as np
import pytest
from made_results import failing, made

from minitx.study.report.comparison import Verdict, compare, pairs_of, table
from minitx.study.report.sections.quality import section
from minitx.study.results.conditions import conditions_of


def compared(results):
    [comparison] = compare(results, pairs_of(conditions_of(results)))
    return comparison


def test_better_needs_both_intervals():
    clear = compared(made({"transformer": 2.0, "lstm": 2.2}))
    assert clear.verdict is Verdict.BETTER
    assert clear.items.high < 0
    assert clear.seeds.high < 0
    assert clear.sentence().startswith("transformer is better than lstm: ")
    assert "95% interval over test items" in clear.sentence()
    assert "over 3 seeds each" in clear.sentence()


def test_the_one_that_is_better_comes_first_whatever_the_order():
    turned = compared(made({"transformer": 2.2, "lstm": 2.0}))
    assert turned.verdict is Verdict.WORSE
    assert turned.sentence().startswith("lstm is better than transformer: ")
    assert "lower by" in turned.sentence()


def test_higher_is_better_where_the_measure_says_so():
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


def test_one_seed_speaks_of_these_runs_alone():
    single = compared(made({"transformer": 2.0, "lstm": 2.2}, seeds=(1,)))
    assert single.verdict is Verdict.ONE_SEED
    assert "in these runs; other seeds may differ" in single.sentence()
    assert "is better than" not in single.sentence()


def test_what_is_alike_is_neither_higher_nor_lower():
    results = made({"transformer": 2.0, "lstm": 2.2})
    results.runs["test/bits_per_byte"] = 2.0
    assert "exactly equal" in compared(results).sentence()


def test_items_and_seeds_that_disagree_show_nothing():
    results = made({"transformer": 2.0, "lstm": 2.2}, seeds=(1,))
    results.runs["test/bits_per_byte"] *= -1  # the items lead one way, their mean the other
    assert compared(results).verdict is Verdict.NOT_SHOWN


def test_failed_seeds_are_named():
    results = failing(made({"transformer": 2.0, "lstm": 2.2}), "lstm", [3])
    assert "left out, because they failed or are missing: 1 of 3 seeds of lstm" in (
        compared(results).sentence()
    )
    results = failing(results, "lstm", [2], status="missing")
    assert compared(results).verdict is Verdict.ONE_SEED
    nothing = compared(failing(results, "lstm", [1]))
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


def test_the_figures_of_a_sentence_stand_in_the_table():
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
        results = made({"a": 2.0, "b": 2.0}, seeds=tuple(range(3 * seed, 3 * seed + 3)), draw=seed)
        said += compared(results).verdict in (Verdict.BETTER, Verdict.WORSE)
    assert said <= 3  # 5% of 20 are 1


def test_nan_is_never_better():
    results = made({"transformer": 2.0, "lstm": 2.2})
    runs = results.runs
    runs.loc[runs["arm"] == "lstm", results.metric] = np.nan
    assert compared(results).verdict is Verdict.NOT_COMPARED
