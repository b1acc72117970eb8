"""Test the section about the seeds that learn recall on results whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_results import failing, made
from scipy import stats

from minitx.drawing.figures import png
from minitx.study.report.rules.plan import nothing_missing
from minitx.study.report.sections import SECTIONS, success
from minitx.study.results.sweep import sweeps_of

LEARNS = {  # the step at which each seed of an arm reaches 99%, by the context
    ("transformer", 16): [50, 100, 100, 150, 100],
    ("transformer", 32): [200, 200, 250, 200, 450],
    ("lstm", 16): [400, 300, 500, None, 350],
    ("lstm", 32): [None] * 5,
}


def results_of(learns, **changes):
    """Results whose curves jump from 1 / pairs to 99.5% at these steps."""
    levels = dict.fromkeys(dict.fromkeys(arm for arm, _ in learns), 0.5)
    contexts = sorted({context for _, context in learns})

    def answers(arm, point, seed):
        right = learns[arm, point[0]][seed - 1] is not None
        pairs = point[0] // 8
        return {"recall": pd.DataFrame({"pairs": pairs, "distance": [2, 5], "right": int(right)})}

    results = made(
        levels,
        grid={"model.context": contexts},
        seeds=(1, 2, 3, 4, 5),
        measure="accuracy",
        details=answers,
        sections=("success",),
        **changes,
    )
    runs = results.runs.set_index("key")

    def accuracy(row):
        run = runs.loc[row["key"]]
        step = learns[run["arm"], run["model.context"]][run["seed"] - 1]
        chance = 8 / run["model.context"]
        return 0.995 if step is not None and row["step"] >= step else chance

    curves = results.curves.assign(**{"val/accuracy": results.curves.apply(accuracy, axis=1)})
    tested = [0.99 + 0.001 * seed for seed in results.runs["seed"]]
    return replace(results, curves=curves, runs=results.runs.assign(**{"test/accuracy": tested}))


def ladder_of(learns):
    """Results of a ladder, without the points at which an arm was not trained: None."""
    results = results_of({key: steps or [None] * 5 for key, steps in learns.items()})
    results.study.ladder = True
    runs, points = results.runs, [key for key, steps in learns.items() if steps]
    runs = runs[[key in points for key in zip(runs["arm"], runs["model.context"], strict=True)]]
    steps = [
        learns[arm, context][seed - 1] if chosen else None
        for arm, context, seed, chosen in runs[
            ["arm", "model.context", "seed", "chosen"]
        ].itertuples(index=False)
    ]
    return replace(results, runs=runs.assign(ended_by=["goal" if each else None for each in steps]))


def test_seeds_are_counted_with_exact_intervals():
    section = SECTIONS["success"](results_of(LEARNS))
    table = section.table.set_index(["arm", "rung"])
    easy, hard = "2 pairs, 16 tokens of context", "4 pairs, 32 tokens of context"
    assert list(table.index) == [
        (arm, rung) for arm in ("transformer", "lstm") for rung in (easy, hard)
    ]
    assert list(table["learned"]) == [5, 5, 4, 0]
    assert list(table["seeds"]) == [5] * 4
    for row in table.to_dict("records"):
        exact = stats.binomtest(row["learned"], 5).proportion_ci(0.95, method="exact")
        assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))
    assert list(table["median steps until then"])[:3] == [100, 200, 375]
    assert np.isnan(table.loc["lstm", hard]["median steps until then"])
    assert table.loc["lstm", easy]["median tokens until then"] == 768 * 375
    assert table.loc["lstm", hard]["chance level"] == 0.25
    assert table.loc["transformer", easy]["lowest accuracy on test of these"] == 0.991
    assert png(section.figure)


def test_sentences_say_k_of_n_seeds(monkeypatch):
    monkeypatch.setattr(success, "may_claim", lambda results: True)
    section = SECTIONS["success"](results_of(LEARNS))
    assert section.answers == 5
    easy, hard, difference, transformer, lstm, *rest = section.sentences
    assert easy == (
        "Training steps until seeds learn it with 2 pairs, 16 tokens of context, median (and "
        "range): transformer after 100 (50 to 150, 5 of 5 seeds); lstm after 375 (300 to 500, 4 of "
        "5 seeds)."
    )
    assert hard == (
        "Training steps until seeds learn it with 4 pairs, 32 tokens of context, median (and "
        "range): transformer after 200 (200 to 450, 5 of 5 seeds); lstm not within 500 (0 of 5 "
        "seeds)."
    )
    # 5 of 5 against 0 of 5 is the most extreme of 36 tables; two comparisons are made.
    assert difference == (
        "transformer and lstm: transformer learns it more often than lstm with 4 pairs, 32 tokens "
        "of context (corrected p 0.004); no difference is shown in how many seeds learn it with 2 "
        "pairs, 16 tokens of context."
    )
    assert list(section.more["comparisons"]["p"]) == pytest.approx([1, 2 * 0.5**10], abs=0.5)
    assert transformer == (
        "Seeds of transformer that learn it: 5 of 5 with 2 pairs, 16 tokens of context (exact 95% "
        "interval of the fraction 48% to 100%); 5 of 5 with 4 pairs, 32 tokens of context (exact "
        "95% interval of the fraction 48% to 100%)."
    )
    assert "4 of 5 with 2 pairs" in lstm
    assert (
        "0 of 5 with 4 pairs, 32 tokens of context (exact 95% interval of the fraction 0% to 52%)"
        in lstm
    )
    assert rest == [
        "Seeds of lstm that do not learn it: with 2 pairs, 16 tokens of context, 1 seed in 500 "
        "steps (best accuracy on val 50% to 50%, chance level 50%); with 4 pairs, 32 tokens of "
        "context, 5 seeds in 500 steps (best accuracy on val 25% to 25%, chance level 25%)."
    ]  # nothing is said of seeds of the Transformer that fail


def test_an_arm_that_did_not_climb_a_ladder_is_named():
    learns = LEARNS | {("lstm", 16): [None, 300, None, None, 400], ("lstm", 32): None}
    results = ladder_of(learns)
    section = SECTIONS["success"](results)
    [lstm] = [each for each in section.sentences if each.startswith("Seeds of lstm that learn it")]
    assert lstm == (
        "Seeds of lstm that learn it: 2 of 5 with 2 pairs, 16 tokens of context (exact 95% "
        "interval of the fraction 5% to 85%). lstm was not trained with 32 tokens of context, "
        "because no more than half of its seeds had reached the goal before."
    )
    assert list(section.more["comparisons"]["rung"]) == ["2 pairs, 16 tokens of context"]
    assert not any("transformer was not trained" in each for each in section.sentences)
    assert png(section.figure)


def test_failed_runs_are_seeds_that_did_not_reach_the_goal():
    learns = LEARNS | {("lstm", 16): [100, 300, None, None, None], ("lstm", 32): None}
    results = ladder_of(learns)
    failed = (results.runs["arm"] == "lstm") & (results.runs["seed"] > 2)
    results = replace(
        results, runs=results.runs.assign(status=results.runs["status"].mask(failed, "failed"))
    )
    sentences = SECTIONS["success"](results).sentences
    assert any("lstm was not trained with 32 tokens" in each for each in sentences)


def test_the_rule_about_missing_runs_names_the_arms_that_did_not_climb():
    learns = LEARNS | {("lstm", 16): [None] * 5, ("lstm", 32): None}
    rule = nothing_missing(ladder_of(learns))
    assert rule.kept
    assert rule.words.endswith(
        "By the rule of the ladder, the study left out lstm with 32 tokens of context."
    )
    assert nothing_missing(results_of(LEARNS)).words.endswith("finished.")


def test_a_ladder_that_is_not_done_yet_names_no_arm():
    learns = LEARNS | {("lstm", 16): [None, 300, None, None, 400], ("lstm", 32): None}
    results = ladder_of(learns)
    last = (results.runs["arm"] == "lstm") & (results.runs["seed"] == 5)
    runs = results.runs.assign(status=results.runs["status"].mask(last, "missing"))
    section = SECTIONS["success"](replace(results, runs=runs))
    assert not any("was not trained" in each for each in section.sentences)


def test_a_study_that_broke_a_rule_claims_less(monkeypatch):
    monkeypatch.setattr(success, "may_claim", lambda results: False)
    results = results_of({("gru", 16): [None] * 5, ("lstm", 16): [100] * 5})
    soon, one_rung, difference, *_ = SECTIONS["success"](results).sentences
    assert "gru not within 500 (0 of 5 seeds); lstm after 100 (100 to 100, 5 of 5 seeds)" in soon
    assert one_rung == (
        "Only one point of the grid was measured (2 pairs, 16 tokens of context), which does not "
        "show how many pairs a model remembers, or how far back."
    )
    assert difference == (
        "gru and lstm: lstm learned it more often in these runs than gru with 2 pairs, 16 tokens "
        "of context (corrected p 0.002)."
    )


def test_one_arm_is_compared_with_none():
    section = SECTIONS["success"](results_of({("lstm", 16): [100] * 5}))
    assert section.answers == 3
    assert section.sentences[2].startswith("Seeds of lstm that learn it: 5 of 5")


def test_only_seeds_that_finished_count():
    results = failing(results_of(LEARNS), "lstm", [4, 5], status="missing")
    table = SECTIONS["success"](results).table
    found = table[table["arm"] == "lstm"]
    assert list(found["seeds"]) == [3, 3]
    assert list(found["learned"]) == [3, 0]


def test_a_study_of_pairs_names_them_once():
    results = results_of(LEARNS)
    runs = results.runs.rename(columns={"model.context": "task.pairs"})
    study = replace(results.study, grid={"task.pairs": [16, 32]})
    section = SECTIONS["success"](replace(results, study=study, runs=runs))
    assert set(section.table["rung"]) == {"16 pairs", "32 pairs"}


def test_nothing_is_shown_without_answers():
    assert SECTIONS["success"](made({"lstm": 0.5}, measure="accuracy")) is None
    assert SECTIONS["success"](made({"lstm": 0.5})) is None


def test_a_sweep_prefers_the_rate_that_reaches_the_goal_soonest():
    """Though another rate has a lower loss, because it saw more until the same accuracy."""
    results = results_of(LEARNS, best_rate=0.02)
    losses, steps = {0.005: 0.03, 0.01: 0.02, 0.02: 0.05}, {0.005: 900, 0.01: 700, 0.02: 300}
    rate = results.runs["optimizer.muon_lr"]
    lstm = results.runs["arm"] == "lstm"
    runs = results.runs.assign(
        **{"val/loss": rate.map(losses), "steps": rate.map(steps)},
        ended_by=np.where(lstm, "max_steps", "goal"),
    )
    transformer, *_, last = sweeps_of(replace(results, runs=runs))
    assert transformer.best
    assert list(transformer.tried["optimizer.muon_lr"]) == [0.005, 0.01, 0.02]
    assert list(transformer.tried["steps"]) == [900, 700, 300]
    assert not last.best  # no run of the LSTM reached the goal, so the lowest loss counts
    section = SECTIONS["tuning"](replace(results, runs=runs))
    assert "the sweep chose muon_lr 0.02" in section.sentences[0]
    assert "(300 steps to the goal)" in section.sentences[0]
    assert "(loss on val 0.050 nats; no value reached the goal)" in section.sentences[-1]
    assert "no value reached the goal" not in section.sentences[0]
    assert "steps to the goal" in section.table
    [axes] = section.figure.axes  # shows the steps of those that reached it
    assert axes.get_title(loc="left") == "steps to the goal"
    assert list(axes.lines[0].get_ydata()) == [900, 700, 300]
