"""Test the rules of a fair comparison: which are kept, and which raise an error."""

from dataclasses import replace

import pytest
from made_results import failing, made

from minitx.errors import UserError
from minitx.study.report.rules import check_rules
from minitx.study.results.settings import describe_settings

ARMS = {"transformer": 2.19, "lstm": 2.13}


def rules(results):
    return {rule.name: rule for rule in check_rules(results)}


def broken(results):
    return [name for name, rule in rules(results).items() if not rule.kept]


def changed(results, arm, **values):
    runs = results.runs.copy()
    for name, value in values.items():
        runs.loc[runs["arm"] == arm, name] = value
    return replace(results, runs=runs)


def test_a_fair_study_keeps_them_all():
    assert broken(made(ARMS)) == []


def test_both_numbers_of_parameters_are_given():
    words = rules(made(ARMS))["equal numbers of parameters, within 2%"].words
    assert "transformer 809,080 (780,000 without embeddings)" in words
    assert "lstm 802,080" in words


@pytest.mark.parametrize(("size", "kept"), [(825_000, True), (826_000, False)])
def test_sizes_differ_by_two_percent_at_most(size, kept):
    found = rules(changed(made(ARMS), "lstm", parameters=size))[
        "equal numbers of parameters, within 2%"
    ]
    assert found.kept is kept


def test_different_corpora_are_refused_in_one_line():
    results = changed(made(ARMS), "lstm", data_fingerprint="other")
    with pytest.raises(UserError, match="different corpora or tokenizers") as refused:
        check_rules(results)
    assert "\n" not in str(refused.value)
    assert "transformer" in str(refused.value)


def test_corpora_may_differ_along_an_axis_of_the_data():
    results = made(
        {"a": lambda s: 2.0, "b": lambda s: 2.1}, grid={"data.train_fraction": [0.1, 1.0]}
    )
    results.runs["data_fingerprint"] = results.runs["data.train_fraction"].astype(str)
    assert broken(results) == []
    with pytest.raises(UserError):
        check_rules(changed(results, "b", data_fingerprint="other"))


def test_runs_without_figures_have_no_corpus_to_differ():
    results = failing(made(ARMS), "lstm", [1, 2, 3])
    check_rules(changed(results, "lstm", data_fingerprint=None))


def test_tokens_are_as_many_for_the_same_seed():
    results = made(ARMS)
    results.runs["tokens_seen"] += results.runs["seed"]  # from seed to seed they may differ
    assert broken(results) == []
    fewer = changed(made(ARMS), "lstm", tokens_seen=1000)
    assert broken(fewer) == ["equal numbers of tokens"]
    assert "1,000 (lstm)" in rules(fewer)["equal numbers of tokens"].words


def test_a_sweep_is_the_same_for_all_and_chosen_on_val():
    results = made(ARMS)
    largest = results.runs["optimizer.muon_lr"] == 0.02
    runs = results.runs[~(largest & (results.runs["arm"] == "lstm"))]
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "The sweep of lstm has other values than that of transformer" in found.words
    runs = results.runs.copy()
    runs.loc[(runs["arm"] == "lstm") & (runs["optimizer.muon_lr"] > 0.01), "val/loss"] = 0.1
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "The choice for lstm is not the best one on val" in found.words


def test_a_rate_at_the_edge_and_no_sweep_are_said():
    assert broken(made(ARMS, best_rate=0.02)) == ["the best value inside the sweep"]
    assert broken(made(ARMS, rates=(0.01,))) == [
        "the same sweep for all, chosen on val",
        "the best value inside the sweep",
    ]


def test_seeds_failures_and_the_quick_preset_are_said():
    results = failing(made(ARMS, preset="quick"), "lstm", [2], "the loss is not a number")
    assert broken(results) == [
        "3 seeds or more",
        "no missing runs",
        "the full preset",
    ]
    words = rules(results)["no missing runs"].words
    assert "1 run of lstm failed (the loss is not a number)" in words


def test_a_sweep_that_failed_altogether_was_no_choice():
    results = made(ARMS)
    runs = results.runs.copy()
    lost = (runs["arm"] == "lstm") & runs["swept"]
    runs.loc[lost, ["status", "reason", "val/loss"]] = "failed", "the loss is not a number", None
    found = rules(replace(results, runs=runs))["the same sweep for all, chosen on val"]
    assert not found.kept
    assert "No run of the sweep of lstm finished" in found.words


def test_recipes_that_differ_beside_the_model_are_said():
    settings = {
        "transformer": {"model.dropout": 0.1, "optimizer.ema": 0.99, "model.heads": 4},
        "lstm": {"model.dropout": 0.1, "model.layers": 2, "optimizer.muon_lr": 0.01},
    }
    results = replace(made(ARMS), settings=settings)
    found = rules(results)["the same training for all"]
    assert not found.kept
    assert found.words == (
        "Apart from the model and the sweep, the recipes differ: optimizer.ema is 0.99 for "
        "transformer and null for lstm."
    )
    assert describe_settings(results) == {
        "of all": "model.dropout=0.1",
        "of transformer": "optimizer.ema=0.99 model.heads=4",
        "of lstm": "model.layers=2",
    }


def test_what_the_arms_themselves_say_is_their_difference():
    results = made(ARMS)
    results.study.arms["lstm"].append("model.dropout=0.5")
    settings = {"transformer": {"model.dropout": 0.0}, "lstm": {"model.dropout": 0.5}}
    assert broken(replace(results, settings=settings)) == []


def test_runs_of_older_code_are_said():
    results = replace(made(ARMS), facts={"cores": "2", "commit": "aaaaaa, bbbbbb"})
    assert broken(results) == ["the same code and machine"]
    assert "commit aaaaaa, bbbbbb" in rules(results)["the same code and machine"].words


def test_sizes_that_are_not_matched_are_compared_over_the_grid():
    results = made({"a": lambda h: 2.0}, grid={"model.heads": [1, 2]})
    results.study.match = False
    assert broken(results) == []
    results.runs.loc[results.runs["model.heads"] == 2, "parameters"] = 823_000
    assert broken(results) == ["equal numbers of parameters, within 2%"]


def test_null_is_a_value_like_others():
    results = made(ARMS)
    results.runs["optimizer.muon_lr"] = results.runs["optimizer.muon_lr"].replace(0.005, None)
    found = rules(results)["the same sweep for all, chosen on val"]
    assert found.kept
    assert "0.01, 0.02" not in found.words  # three values, of which one is null
    assert "null" in found.words
