"""Test the section that compares heads of the same width."""

from dataclasses import replace

import pytest
from made_results import made

from minitx.study.report.comparison import compare
from minitx.study.report.sections import SECTIONS
from minitx.study.results.head_width import same_head_width

HEADS = [1, 2, 4]


def results_of(sections=("axis", "head_width")):
    """A wider model is better by 0.2, and the number of heads does not matter."""
    results = made(
        {"width_64": lambda heads: 2.4, "width_128": lambda heads: 2.2},
        grid={"model.heads": HEADS},
        seeds=(1, 2, 3, 4),
        sections=sections,
    )
    settings = {"width_64": {"model.dim": 64}, "width_128": {"model.dim": 128}}
    return replace(results, settings=settings)


def test_models_are_paired_by_the_width_of_their_heads():
    found = same_head_width(results_of())
    names = {
        width: [(fewer.name, more.name) for fewer, more in pairs] for width, pairs in found.items()
    }
    assert names == {
        64: [("width_64 with 1 head", "width_128 with 2 heads")],
        32: [("width_64 with 2 heads", "width_128 with 4 heads")],
    }


def test_more_heads_of_the_same_width_are_compared():
    section = SECTIONS["head_width"](results_of())
    assert list(section.table["width of a head"]) == [64, 32]
    assert list(section.table["first"]) == ["width_128 with 2 heads", "width_128 with 4 heads"]
    assert list(section.table["first's parameters"]) == [798_080 + 1000 * len("width_128")] * 2
    assert list(section.table["first is"]) == ["better", "better"]
    assert section.sentences[0].startswith(
        "With heads of width 64: width_128 with 2 heads is better than width_64 with 1 head: "
    )
    assert section.answers == 2


def test_these_comparisons_count_in_the_correction_of_all_others():
    whole, alone = results_of(), results_of(sections=("axis",))
    pair = next(iter(same_head_width(whole).values()))[0]
    assert compare(whole, [pair])[0].tests == 2 * 3 + 2
    assert compare(alone, [pair])[0].tests == 2 * 3 + 1


@pytest.mark.parametrize("settings", [{}, {"width_64": {"model.dim": 64}}])
def test_without_two_widths_there_is_nothing_to_compare(settings):
    assert SECTIONS["head_width"](replace(results_of(), settings=settings)) is None
