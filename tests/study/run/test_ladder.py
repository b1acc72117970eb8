"""Test a study that is a ladder: an arm climbs to the next value of the grid if it learns."""

from pathlib import Path

import pytest

from minitx.study.results.collecting import open_study

CONTEXTS = [4, 8, 16]
EASY, HARD = "trainer.goal=100", "trainer.goal=0.001"  # bits per byte


def arms_of(**goals):
    return {name: ["model=transformer", goal] for name, goal in goals.items()}


@pytest.mark.parametrize("sweep", [{}, {"optimizer.muon_lr": [0.01, 0.02]}])
def test_an_arm_that_misses_the_goal_climbs_no_further(compare, sweep):
    answer = compare(
        ladder=True, grid={"model.context": CONTEXTS}, arms=arms_of(one=EASY, two=HARD), sweep=sweep
    )
    assert answer.status == 0, answer.err
    runs = open_study("study").runs
    assert set(runs["status"]) == {"finished"}
    contexts = {arm: list(found["model.context"]) for arm, found in runs.groupby("arm", sort=False)}
    each = 2 + len(sweep) * 2  # two seeds, and two values of the sweep
    assert contexts == {"one": sorted(CONTEXTS * each), "two": [CONTEXTS[0]] * each}
    assert Path("study/report.md").is_file()


def test_a_ladder_ends_if_no_arm_climbs(compare):
    answer = compare(
        ladder=True, grid={"model.context": CONTEXTS}, arms=arms_of(one=HARD), sweep={}
    )
    assert answer.status == 0, answer.err
    assert set(open_study("study").runs["model.context"]) == {CONTEXTS[0]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid": {}}, "a ladder has one key in its grid, not 0"),
        ({"grid": {"model.context": [4], "model.heads": [1, 2]}}, "one key in its grid, not 2"),
        ({"grid": {"model.context": CONTEXTS}}, "set trainer.goal"),
    ],
)
def test_a_ladder_needs_rungs_and_a_goal(compare, changes, reason):
    answer = compare(ladder=True, **changes)
    assert answer.status == 1
    assert reason in answer.err
    assert not Path("study").exists()
