"""Test the rules about the sweep: what was tried, and what was chosen."""

from dataclasses import replace

import pandas as pd
from fair_results import ARMS, broken, fair, rules


def test_a_sweep_is_the_same_for_all_and_chosen_on_val():
    results = fair(ARMS)
    largest = results.runs["optimizer.muon_lr"] == 0.02
    runs = results.runs[~(largest & (results.runs["arm"] == "lstm"))]
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "The sweep of lstm lacks values of the study" in found.words
    runs = results.runs.copy()
    runs.loc[(runs["arm"] == "lstm") & (runs["optimizer.muon_lr"] > 0.01), "val/loss"] = 0.1
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "The choice for lstm is not the best one on val" in found.words


def test_a_rate_at_the_edge_and_a_missing_sweep_are_reported():
    assert broken(fair(ARMS, best_rate=0.02)) == ["the best value inside the sweep"]
    assert broken(fair(ARMS, rates=(0.01,))) == [
        "the same sweep for all, chosen on val",
        "the best value inside the sweep",
    ]


def with_rate(results, arm, rate, loss):
    """The same study, whose sweep has also tried a rate for an arm."""
    swept = results.runs[(results.runs["arm"] == arm) & results.runs["swept"]]
    row = swept.iloc[:1].assign(**{"optimizer.muon_lr": rate, "val/loss": loss, "key": f"at{rate}"})
    return replace(results, runs=pd.concat([results.runs, row], ignore_index=True))


def test_an_arm_may_be_searched_further_than_others():
    edge = fair(best_rate=0.02)
    one = with_rate(edge, "lstm", 0.04, 9.0)
    assert broken(one) == ["the best value inside the sweep"]
    assert (
        "edge of the sweep for transformer: " in rules(one)["the best value inside the sweep"].words
    )
    both = with_rate(one, "transformer", 0.04, 9.0)
    assert broken(both) == []
    assert "sweep of transformer and lstm was widened" in (
        rules(both)["the same sweep for all, chosen on val"].words
    )


def test_a_search_that_ends_at_its_limit_is_reported():
    results = fair(best_rate=0.005)
    for rate in (0.0025, 0.00125, 0.000625):  # the loss falls all the way
        results = with_rate(results, "lstm", rate, 9.0)
    runs = results.runs
    runs.loc[(runs["arm"] == "lstm") & runs["chosen"], "optimizer.muon_lr"] = 0.000625
    runs.loc[(runs["arm"] == "lstm") & (runs["key"] == "at0.000625"), "val/loss"] = 0.1
    words = rules(results)["the best value inside the sweep"].words
    assert "transformer and lstm" in words
    assert "The sweep of lstm was widened to its limit of 3 further values." in words


def test_the_seed_of_the_sweep_does_not_count():
    results = fair()
    assert rules(results)["fresh seeds for the results"].words == (
        "The sweep had seed 0, which does not count as a result."
    )
    runs = results.runs
    runs.loc[runs["swept"], "seed"] = 1  # as in studies of earlier versions
    assert broken(results) == ["fresh seeds for the results"]
    assert "Seed 1 took part in the sweep" in rules(results)["fresh seeds for the results"].words
    assert "fresh seeds for the results" not in rules(fair(rates=(0.01,)))


def test_a_sweep_that_failed_altogether_was_no_choice():
    results = fair(ARMS)
    runs = results.runs.copy()
    lost = (runs["arm"] == "lstm") & runs["swept"]
    runs.loc[lost, ["status", "reason", "val/loss"]] = "failed", "the loss is not a number", None
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "No run of the sweep of lstm finished" in found.words


def test_null_is_a_value_like_others():
    results = fair(ARMS)
    results.runs["optimizer.muon_lr"] = results.runs["optimizer.muon_lr"].replace(0.005, None)
    results.study.sweep["optimizer.muon_lr"][0] = None
    found = rules(results)["the same sweep for all, chosen on val"]
    assert found.kept
    assert "0.01, 0.02" not in found.words  # three values, of which one is null
    assert "null" in found.words
