"""Test how soon arms reach the same quality, on curves whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fair_results import changed
from made_results import made

from minitx.drawing.figures import png
from minitx.study.report.sections import SECTIONS

SEEDS = (1, 2, 3, 4)


def with_curves(lines, measure="bits_per_byte", steps=range(1, 6), **how):
    """A study whose arms have these values on val after each of `steps`, for every seed.

    A step has 1,000 tokens, and takes a second for the first arm, two for the second, ...
    """
    results = made(dict.fromkeys(lines, 2.0), measure=measure, seeds=SEEDS, **how)
    results.runs["operations_per_token"] = results.runs["arm"].map(
        {arm: 10.0**number for number, arm in enumerate(lines)}
    )
    rows = [
        {
            "key": run["key"],
            "step": step,
            "tokens_seen": 1_000 * step,
            "train_seconds": (1 + list(lines).index(run["arm"])) * step,
            f"val/{measure}": value,
        }
        for run in results.runs.to_dict("records")
        for step, value in zip(steps, lines[run["arm"]], strict=True)
    ]
    return replace(results, curves=pd.DataFrame(rows))


def reaching(results):
    return SECTIONS["reaching"](results)


def costs(section, second):
    found = section.table[section.table["second"] == second].set_index("cost")
    return {
        name: (row["of the first"], row["of the second"], row["ratio"])
        for name, row in found.iterrows()
    }


def test_costs_are_interpolated_to_the_best_value_of_the_worst_run():
    lines = {"transformer": [5, 4, 3, 2.5, 2], "lstm": [4, 3, 2, 1, 1], "gru": [9, 8, 7, 6, 4.5]}
    section = reaching(with_curves(lines))
    assert costs(section, "lstm") == {
        "tokens seen": pytest.approx((5_000, 3_000, 0.6)),
        "forward operations": pytest.approx((5_000, 30_000, 6)),
        "training seconds": pytest.approx((5, 6, 1.2)),
    }
    # 4.5 lies halfway between the first two values of the Transformer.
    assert costs(section, "gru")["tokens seen"] == pytest.approx((1_500, 5_000, 5_000 / 1_500))
    one, two = section.sentences
    assert one == (
        "transformer and lstm reached 2.000 bits per byte on val: lstm needed 0.6 times the "
        "tokens, 6 times the operations and 1.2 times the training time that transformer needed."
    )
    assert two.startswith("transformer and gru reached 4.500 bits per byte on val: gru needed 3.33")
    assert section.finding == "lstm and gru needed more training time than transformer"
    assert png(section.figure)


def test_of_an_accuracy_the_highest_value_that_all_reach_counts():
    lines = {"transformer": [0.1, 0.2, 0.4, 0.6, 0.8], "lstm": [0.1, 0.3, 0.5, 0.5, 0.5]}
    section = reaching(with_curves(lines, measure="accuracy"))
    assert costs(section, "lstm")["tokens seen"] == pytest.approx((3_500, 3_000, 3_000 / 3_500))
    assert "reached accuracy 50.0% on val" in section.sentences[0]


def test_intervals_are_those_of_the_logarithms_of_paired_seeds():
    results = with_curves({"transformer": [4, 3, 2], "lstm": [4, 3, 2]}, steps=(1, 2, 3))
    runs = results.runs.set_index("key")
    slower = runs["seed"] / 10 * (runs["arm"] == "lstm")  # by 10% for seed 1, 20% for seed 2, ...
    curves = results.curves.assign(
        train_seconds=lambda rows: rows["train_seconds"] * (1 + slower[rows["key"]].to_numpy())
    )
    section = reaching(replace(results, curves=curves))
    row = section.table.set_index("cost").loc["training seconds"]
    logs = np.log([2.2, 2.4, 2.6, 2.8])
    half = 3.182446305284264 * logs.std(ddof=1) / 2  # Student's t with 3 degrees of freedom
    assert np.log(row["ratio"]) == pytest.approx(logs.mean())
    assert np.log([row["low"], row["high"]]) == pytest.approx(
        [logs.mean() - half, logs.mean() + half]
    )


def test_only_seeds_that_both_have_are_compared():
    results = with_curves({"transformer": [4, 3, 2], "lstm": [4, 3, 1]}, steps=(1, 2, 3))
    bad = results.runs.query("arm == 'lstm' and seed == 4")["key"].item()
    worse = results.curves["key"] == bad
    curves = results.curves.assign(
        **{"val/bits_per_byte": results.curves["val/bits_per_byte"].where(~worse, 9.0)}
    )
    lost = (results.runs["arm"] == "transformer") & (results.runs["seed"] == 4)
    runs = results.runs.assign(status=results.runs["status"].mask(lost, "failed"))
    section = reaching(replace(results, runs=runs, curves=curves))
    assert "reached 2.000 bits per byte on val" in section.sentences[0]


def test_a_value_reached_before_the_first_validation_has_no_ratio():
    lines = {"transformer": [1, 0.9, 0.8], "none": [4, 3, 2]}
    section = reaching(with_curves(lines, steps=(1, 2, 3)))
    assert section.table["ratio"].isna().all()
    assert section.figure is None
    [sentence] = section.sentences
    assert sentence.endswith("transformer before the first validation, so no ratio is known.")
    assert section.finding == ""


def test_times_are_not_compared_if_the_machine_was_shared():
    results = with_curves({"transformer": [4, 3, 2], "lstm": [4, 2, 1]}, steps=(1, 2, 3))
    busy = changed(results, "lstm", cpu_seconds=1.0)
    section = reaching(busy)
    assert set(section.table["cost"]) == {"tokens seen", "forward operations"}
    assert "training time" not in section.sentences[0]
    assert "Other work shared the machine, so times are not compared." in section.note
    assert section.finding == "lstm needed more operations than transformer"


def test_every_point_of_a_grid_is_compared_with_its_own_first_arm():
    grid = {"model.heads": [8, 2]}
    lines = {"transformer": [4, 3, 2], "lstm": [4, 2, 1]}
    section = reaching(with_curves(lines, steps=(1, 2, 3), grid=grid))
    assert list(dict.fromkeys(section.table["place"])) == ["8 heads", "2 heads"]
    assert len(section.sentences) == 2
    assert "transformer and lstm with 8 heads reached" in section.sentences[0]
    assert png(section.figure)


def test_a_point_without_the_first_arm_is_not_compared():
    grid = {"model.heads": [8, 2]}
    lines = {"transformer": [4, 3, 2], "lstm": [4, 2, 1], "gru": [4, 3, 1]}
    results = with_curves(lines, steps=(1, 2, 3), grid=grid)
    runs = results.runs.copy()
    lost = (runs["arm"] == "transformer") & (runs["model.heads"] == 2)
    runs.loc[lost, "status"] = "failed"
    section = reaching(replace(results, runs=runs))
    assert set(section.table["first"]) == {"transformer"}
    assert set(section.table["place"]) == {"8 heads"}


def test_one_arm_has_nothing_to_compare():
    assert reaching(with_curves({"transformer": [4, 3, 2]}, steps=(1, 2, 3))) is None
