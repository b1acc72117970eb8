"""Test the section about lengths on results whose answers are known."""

import pandas as pd
import pytest
from made_results import made
from scipy import stats

from minitx.drawing.figures import png
from minitx.study.report.sections import SECTIONS

LENGTHS = (40, 10, 80, 200)
CHANCE = {"parity": 0.5, "copy": 1 / 26}
# The longest length at which each of five seeds is right, by arm and task.
REACH = {
    ("lstm", "parity"): [200, 200, 200, 80, 200],
    ("lstm", "copy"): [10, 10, 10, 0, 0],
    ("attention", "parity"): [0, 10, 0, 0, 0],
    ("attention", "copy"): [40, 80, 40, 80, 80],
}


def results_of(reach, tasks=("parity", "copy"), holes=()):
    """Results on these tasks. Seeds whose numbers are `holes` are wrong at 10 and right later."""

    def details(arm, point, seed):
        task = point[0] if point else "shakespeare"
        rows = []
        for length in LENGTHS:
            able = length <= reach[arm, task][seed - 1] and not (length == 10 and seed in holes)
            rows.append(
                {
                    "length": length,
                    "exact match": float(able),
                    "accuracy": 0.995 if able else CHANCE.get(task, 0.5) + 0.001 * seed,
                    "chance level": CHANCE.get(task, 0.5),
                    "longest in training": 40,
                }
            )
        return {"lengths": pd.DataFrame(rows)}

    return made(
        dict.fromkeys(dict.fromkeys(arm for arm, _ in reach), 0.5),
        grid={"task": list(tasks)} if tasks else None,
        seeds=(1, 2, 3, 4, 5),
        measure="exact_match",
        details=details,
    )


def test_seeds_are_counted_at_each_length_with_exact_intervals():
    table = SECTIONS["lengths"](results_of(REACH)).more["seeds by length"]
    assert len(table) == 2 * 2 * 2 * len(LENGTHS)
    for row in table.to_dict("records"):
        reach = REACH[row["arm"], row["task"]]
        hits = sum(length >= row["length"] for length in reach)
        assert (row["seeds that can"], row["seeds"]) == (hits, 5)
        exact = stats.binomtest(hits, 5).proportion_ci(0.95, method="exact")
        assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))


def test_a_cell_has_the_longest_length_that_most_seeds_reach():
    section = SECTIONS["lengths"](results_of(REACH))
    first, second, *_ = section.more
    for name in (first, second):
        found = section.more[name].set_index("arm")
        assert list(found.columns) == ["parity", "copy"]
        assert found.loc["lstm", "parity"] == "200 (4 of 5, 28% to >99%)"
        assert found.loc["lstm", "copy"] == "10 (3 of 5, 15% to 95%)"
        assert found.loc["attention", "parity"] == "none (1 of 5, <1% to 72%)"
        assert found.loc["attention", "copy"] == "80 (3 of 5, 15% to 95%)"


def test_a_seed_that_fails_at_a_shorter_length_cannot_do_a_longer_one():
    section = SECTIONS["lengths"](results_of(REACH, holes=(1, 2, 3)))
    found = next(iter(section.more.values())).set_index("arm")
    assert found.loc["lstm", "parity"].startswith("none (2 of 5")


def test_sentences_name_the_longest_lengths_first():
    section = SECTIONS["lengths"](results_of(REACH))
    assert section.sentences == [
        "parity: at least 99% of the answers of most seeds are right up to length 200, the longest "
        "that was tested, with lstm (4 of 5); at no length that was tested with attention (1 of "
        "5).",
        "copy: at least 99% of the answers of most seeds are right up to length 80 with attention "
        "(3 of 5); up to length 10 with lstm (3 of 5).",
    ]
    assert section.answers == 2


def test_far_beyond_training_accuracies_stand_above_chance():
    found = SECTIONS["lengths"](results_of(REACH)).more["accuracy beyond training"]
    assert list(found["arm"]) == ["lstm", "attention", "chance level"]
    parity = found.set_index("arm")["parity, length 200"]
    assert parity["chance level"] == "50%"
    assert parity["attention"] == "50.3%"
    assert parity["lstm"] == "89.7%"  # four seeds at 0.995 and one at 0.504


def test_there_is_a_panel_for_each_task_with_its_chance_level():
    section = SECTIONS["lengths"](results_of(REACH))
    parity, copy, *_ = section.figure.axes
    assert [axes.get_title(loc="left") for axes in (parity, copy)] == ["parity", "copy"]
    for axes, task in ((parity, "parity"), (copy, "copy")):
        lines = {tuple(line.get_ydata()) for line in axes.lines}
        assert (CHANCE[task],) * 4 in lines
        assert all(list(line.get_xdata()) in ([10, 40, 80, 200], [40, 40]) for line in axes.lines)
    assert png(section.figure)


def test_a_study_of_one_task_has_one_column():
    reach = {
        (arm, "shakespeare"): values for (arm, task), values in REACH.items() if task == "copy"
    }
    section = SECTIONS["lengths"](results_of(reach, tasks=()))
    found = next(iter(section.more.values()))
    assert list(found.columns) == ["arm", "shakespeare"]  # the task of made results
    assert list(found["arm"]) == ["lstm", "attention"]


def test_without_measured_lengths_there_is_no_section():
    assert SECTIONS["lengths"](made({"lstm": 0.5}, measure="exact_match")) is None
