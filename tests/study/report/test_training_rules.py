"""Test the rules about training: how long, and with which recipes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fair_results import broken, changed, fair, rules, with_settings

from minitx.config.recipes import recipe_keys
from minitx.study.report.rules import may_claim
from minitx.study.results import settings


def improving(results, arm, column, values):
    """The same study, with these values of the curve of an arm at its ten validations."""
    curves = results.curves.copy()
    of_arm = curves["key"].str.startswith(arm)
    curves.loc[of_arm, column] = np.tile(values, of_arm.sum() // 10)
    return replace(results, curves=curves)


FLAT = [3.0, 2.5, 2.2, 2.1, 2.05, 2.02, 2.0]  # until 350 of 500 steps


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        ([2.0, 1.99, 1.981], True),
        ([2.0, 1.99, 1.979], False),
        ([1.97, 2.1, 2.2], False),  # the best checkpoint counts
        ([2.1, 2.2, 2.3], True),  # it got worse, and the best checkpoint was tested
    ],
)
def test_a_curve_that_still_falls_has_not_converged(last, kept):
    results = improving(fair(), "lstm", "val/loss", FLAT + last)
    assert broken(results) == ([] if kept else ["trained to convergence"])
    assert may_claim(results) is kept


def test_the_steepest_curve_is_named_with_its_arm():
    results = improving(fair(), "lstm", "val/loss", [*FLAT, 1.98, 1.96, 1.94])
    assert rules(results)["trained to convergence"].words == (
        "Not trained to convergence. In the last quarter of training, the loss on val still "
        "improved, in the mean over seeds: lstm by 3.0%. A curve counts as flat if it gains at "
        "most 1% of the loss."
    )
    early = changed(results, "lstm", ended_by="goal")
    assert broken(early) == []
    words = rules(early)["trained to convergence"].words
    assert words.startswith("In the last quarter of training, the loss on val improved by 0.")
    assert words.endswith(" 4 runs stopped at the goal and were not checked.")
    assert "lstm" not in words
    early = changed(early, "transformer", ended_by="goal")
    assert broken(early) == []
    words = rules(early)["trained to convergence"].words
    assert words == "8 runs stopped at the goal and were not checked."


DETAILS = {
    "recall": pd.DataFrame({"pairs": 2, "distance": [2, 5], "right": 1}),
    # Longer sequences than those of training say nothing about val.
    "lengths": pd.DataFrame(
        {"length": [10, 20, 80], "chance level": [0.5, 0.4, 0.9], "longest in training": 40}
    ),
}


def at_chance(detail, lstm, ended_by):
    """A study with a chance level of 0.5, whose LSTM ends each curve on val at this accuracy."""
    levels = {"transformer": 0.9, "lstm": 0.5}
    details = {detail: DETAILS[detail]}
    results = fair(levels, measure="accuracy", details=lambda *_: details)
    for arm, last in {"transformer": 0.9, "lstm": lstm}.items():
        results = improving(results, arm, "val/accuracy", [0.49] * 6 + [last] * 4)
    return changed(results, "lstm", ended_by=ended_by)


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize(
    ("lstm", "ended_by", "kept"),
    [
        (0.509, "max_steps", False),
        (0.52, "max_steps", False),
        (0.53, "max_steps", True),
        (0.509, "goal", True),
    ],
)
def test_a_curve_that_is_flat_at_chance_has_not_converged(detail, lstm, ended_by, kept):
    results = at_chance(detail, lstm, ended_by)
    assert ("trained to convergence" not in broken(results)) is kept
    words = rules(results)["trained to convergence"].words
    not_learned = (
        "Not learned: the accuracy on val of 4 runs of lstm was never more than 2 percentage "
        "points above the chance level."
    )
    assert words.startswith(not_learned) is not kept
    if ended_by != "goal":  # nor did a run of the sweep
        chosen = rules(results)["the best value inside the sweep"]
        assert chosen.kept is kept
        assert chosen.words.startswith("No value of the sweep of lstm left the chance") is not kept
    # Of the Transformer.
    assert "accuracy on val improved by 0.0 percentage points at most" in words


@pytest.mark.parametrize(("last", "kept"), [(0.709, True), (0.711, False), (0.6, True)])
def test_a_fraction_converges_by_points_and_not_by_its_loss(last, kept):
    results = fair({"transformer": 0.7, "lstm": 0.7}, measure="accuracy")
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, last]
    results = improving(results, "lstm", "val/accuracy", rising)
    results = improving(results, "transformer", "val/accuracy", [*rising[:9], 0.7])
    results.curves["val/loss"] = results.curves["step"] / -1000 + 1
    assert ("trained to convergence" not in broken(results)) is kept
    words = rules(results)["trained to convergence"].words
    assert "gains at most 1 percentage point." in words
    assert kept or "still improved, in the mean over seeds: lstm by 1.1 percentage points" in words


def test_one_validation_shows_no_convergence():
    results = fair()
    last = results.curves["step"] == 500
    few = replace(
        results, curves=results.curves[last | results.curves["key"].str.startswith("lstm")]
    )
    assert "curve of transformer is flat is not known" in rules(few)["trained to convergence"].words
    assert broken(few) == ["trained to convergence"]
    assert broken(replace(results, curves=pd.DataFrame())) == ["trained to convergence"]


@pytest.fixture
def recipes(monkeypatch):
    """Sets the keys that recipes have, by model."""

    def recipes(**keys):
        monkeypatch.setattr(settings, "recipe_keys", lambda task, model: keys.get(model, set()))

    return recipes


RECIPES = "recipes for all or for none"
TRANSFORMER = {"model.name": "transformer", "model.layers": 4, "model.position": "alibi"}
LSTM = {"model.name": "lstm", "model.layers": 1}


def test_a_recipe_for_one_arm_only_is_reported(recipes):
    recipes(transformer={"model.layers", "model.position", "model.dim", "optimizer.muon_lr"})
    results = with_settings(transformer=TRANSFORMER, lstm=LSTM)
    assert broken(results) == [RECIPES]
    assert rules(results)[RECIPES].words == (
        "Recipes for recall change model.layers and model.position, and leave the defaults for "
        "model.layers of lstm."
    )
    results.study.arms["lstm"] = ["model=lstm", "model.dropout=0.1"]  # something else
    assert broken(results) == [RECIPES]
    results.study.arms["lstm"] = ["model=lstm", "model.layers=1"]  # what is compared
    assert broken(results) == []
    results.study.arms["lstm"] = ["model=lstm"]
    results.study.settings.extend(["model.layers=2", "model.position=none"])  # the same for all
    assert broken(results) == []


def test_recipes_of_both_arms_are_equal_tuning(recipes):
    recipes(transformer={"model.layers", "model.dropout"}, lstm={"model.layers", "model.dropout"})
    transformer, lstm = TRANSFORMER | {"model.dropout": 0.0}, LSTM | {"model.dropout": 0.2}
    results = with_settings(transformer=transformer, lstm=lstm)
    assert broken(results) == []
    assert rules(results)[RECIPES].words == (
        "Recipes for recall, or the study, choose for all: model.dropout is 0 for transformer and "
        "0.2 for lstm; model.layers is 4 for transformer and 1 for lstm."
    )
    results.study.settings.append("model.dropout=0.1")
    assert "model.dropout" not in rules(results)[RECIPES].words
    recipes()
    assert rules(results)[RECIPES].kept


def test_a_recipe_for_what_only_one_model_has_is_tuning_too(recipes):
    recipes(transformer={"model.position"})
    results = with_settings(transformer=TRANSFORMER, lstm=LSTM)
    assert broken(results) == [RECIPES]
    words = rules(results)[RECIPES].words
    assert words == "Recipes for recall change model.position, and leave the defaults for lstm."
    recipes(transformer={"model.position"}, lstm={"model.attention"})
    lstm = LSTM | {"model.attention": "dot"}
    assert broken(with_settings(transformer=TRANSFORMER, lstm=lstm)) == []


def test_the_keys_of_a_recipe_are_those_that_it_sets_and_inherits():
    assert {"model.layers", "optimizer.ema"} <= recipe_keys("sst2", "lstm")
    assert recipe_keys("sst2", "gru") == recipe_keys("sst2", "lstm")
    assert recipe_keys("text", "lstm") == set()
