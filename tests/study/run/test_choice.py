"""Test which run of a sweep is the best one."""

import pytest

from minitx.runs.atomic_write import write_checked_json
from minitx.study.plan.definition import Point
from minitx.study.plan.manifest import PlannedRun
from minitx.study.plan.run_store import RunStore
from minitx.study.run.compare import best_of


@pytest.mark.parametrize(
    ("summaries", "best"),
    [
        ({"a": ("max_steps", 9, 0.3), "b": ("max_steps", 9, 0.2), "c": (None, 9, 0.4)}, "b"),
        ({"a": ("max_steps", 9, 0.1), "b": ("goal", 7, 0.2), "c": ("goal", 3, 0.5)}, "c"),
        ({"a": ("goal", 3, 0.4), "b": ("goal", 3, 0.3), "c": ("goal", 9, 0.1)}, "b"),
        ({"a": ("patience", 9, 0.1), "b": ("max_minutes", 5, 0.2)}, "a"),
        ({}, None),
    ],
    ids=["lowest loss", "soonest at the goal", "a tie", "other limits", "nothing finished"],
)
def test_the_best_run_reaches_the_goal_soonest_or_has_the_lowest_loss(summaries, best, tmp_path):
    store, point = RunStore(tmp_path), Point("lstm", {})
    runs = [PlannedRun(key, point, {}, 0, []) for key in (*summaries, "missing")]
    for key, (ended_by, steps, loss) in summaries.items():
        store.folder(key).mkdir()
        figures = {"ended_by": ended_by, "steps": steps, "metrics": {"val/loss": loss}}
        write_checked_json(store.folder(key) / "summary.json", {"status": "finished", **figures})
    found = best_of(runs, store)
    assert (found and found.key) == best


def test_a_summary_of_an_earlier_version_lacks_the_limit_that_ended_it(tmp_path):
    store = RunStore(tmp_path)
    store.folder("old").mkdir()
    facts = {"status": "finished", "steps": 5, "metrics": {"val/loss": 1.0}}
    write_checked_json(store.folder("old") / "summary.json", facts)
    old = PlannedRun("old", Point("lstm", {}), {}, 0, [])
    assert best_of([old], store) is old
