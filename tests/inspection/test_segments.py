"""Test where sentences and lines begin in the tokens of a text."""

import pytest

from minitx.inspection.segments import segment_starts


@pytest.mark.parametrize(
    ("labels", "starts"),
    [
        (["Speak", ".", "␣We", "␣are"], [0, 2]),
        (["Speak", ".", "⏎", "We", "!", "⏎", "⏎", "All"], [0, 3, 7]),
        (["␣Speak!”", "␣We"], [0, 1]),
        (list("Hi.␣Oh?␣⏎So"), [0, 3, 9]),  # characters
        (["[CLS]", "a", "[SEP]", "b", "[SEP]"], [0, 3]),
        (["他", "。", "我"], [0, 2]),
        (["no", "end"], [0]),
        (["3.14", "is", "a", "number"], [0]),
        (["...", "so"], [0, 1]),
        ([], [0]),
    ],
)
def test_segments_begin_after_sentences_lines_and_separators(labels, starts):
    assert segment_starts(labels) == starts
