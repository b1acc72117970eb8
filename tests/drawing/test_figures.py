"""Test figures by reading matplotlib's objects and the bytes of the picture."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rc_context, style
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text

from minitx.drawing import figures
from minitx.drawing.figures import confusion_matrix, draw_confusion, png, row_shares

# By hand: recall 3/4, 0/2 and none; precision 3/5, 0/1 and none.
COUNTS = np.array([[3, 1, 0], [2, 0, 0], [0, 0, 0]])
NAMES = ["bad", "good", "unseen"]


def cells(figure):
    """{(row, column): text} of the matrix."""
    texts = [text for text in figure.axes[0].texts if not isinstance(text, Annotation)]
    return {text.get_position()[::-1]: text for text in texts}


def margins(figure):
    return [text.get_text() for text in figure.axes[0].texts if isinstance(text, Annotation)]


def names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def random_counts(classes, seed=0):
    return np.random.default_rng(seed).integers(1, 1000, (classes, classes))


def test_shares_are_those_of_the_row():
    expected = [[0.75, 0.25, 0], [1, 0, 0], [np.nan] * 3]
    np.testing.assert_array_equal(row_shares(COUNTS), expected)
    image = confusion_matrix(COUNTS, NAMES, "title").axes[0].images[0]
    np.testing.assert_array_equal(image.get_array().filled(np.nan), expected)
    assert image.get_clim() == (0, 1)
    assert image.origin == "upper"  # the first row on top


def test_texts_of_a_small_matrix():
    figure = confusion_matrix(COUNTS, NAMES, "what for what")
    axes = figure.axes[0]
    written = {place: text.get_text() for place, text in cells(figure).items()}
    assert [[written[i, j] for j in range(3)] for i in range(3)] == [
        ["3\n75%", "1\n25%", "0"],
        ["2\n100%", "0", "0"],
        ["0", "0", "0"],
    ]
    assert names(axes.xaxis) == NAMES
    assert names(axes.yaxis) == ["bad (4)", "good (2)", "unseen (0)"]
    assert margins(figure) == ["75%", "60%", "0%", "0%", "–", "–", "recall", "precision"]
    assert axes.get_title(loc="left") == "what for what"
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")


def test_shares_are_not_rounded_to_nothing_or_to_all():
    texts = cells(confusion_matrix(np.array([[9999, 1], [0, 12345]]), ["a", "b"], ""))
    assert texts[0, 0].get_text() == "9,999\n>99%"
    assert texts[0, 1].get_text() == "1\n<1%"
    assert texts[1, 1].get_text() == "12,345\n100%"


@pytest.mark.parametrize("classes", [1, 2, 6, 12, 20])
def test_every_count_is_written_inside_of_its_cell(classes):
    counts = random_counts(classes)
    figure = confusion_matrix(counts, [str(i) for i in range(classes)], "")
    written = cells(figure)
    assert len(written) == classes**2
    width = figure.bbox.width / classes
    for place, text in written.items():
        assert text.get_text().split("\n")[0] == str(counts[place])
        box = text.get_window_extent()
        assert max(box.width, box.height) < width
        assert text.get_fontsize() >= 6


def test_shares_give_way_to_long_counts_and_then_counts_do():
    labels = [str(i) for i in range(20)]
    texts = cells(confusion_matrix(np.full((20, 20), 10_000), labels, ""))
    assert all("%" not in text.get_text() for text in texts.values())
    assert cells(confusion_matrix(np.full((20, 20), 10**9), labels, "")) == {}


def test_many_classes_have_colours_only():
    figure = confusion_matrix(random_counts(30), [f"class {i}" for i in range(30)], "")
    assert cells(figure) == {}
    assert len(names(figure.axes[0].xaxis)) == 30
    assert len(margins(figure)) == 62


@pytest.mark.parametrize("classes", [30, 100, 300])
def test_names_do_not_overlap(classes):
    figure = confusion_matrix(random_counts(classes), [f"{i}" for i in range(classes)], "")
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) > 50 or len(boxes) == classes
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(boxes))
    assert max(figure.bbox.size) < 4000  # pixels


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot([0.2126, 0.7152, 0.0722], channels)


def test_numbers_are_readable_on_every_colour():
    counts = np.stack([np.arange(16), 15 - np.arange(16)])
    for pair in (counts[:, i : i + 2] for i in range(15)):
        figure = confusion_matrix(pair, ["a", "b"], "")
        image = figure.axes[0].images[0]
        colours = image.to_rgba(row_shares(pair))
        for place, text in cells(figure).items():
            dark, light = sorted(
                [luminance(colours[place][:3]), luminance(to_rgb(text.get_color()))]
            )
            assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG's contrast for text


def test_names_are_taken_literally_in_one_short_line(monkeypatch):
    monkeypatch.setattr(figures, "_fonts", lambda: ["DejaVu Sans"])  # knows no Chinese
    labels = ["$x_1$", r"\frac{1", "<b>&amp;", "two\nlines", "Привет", "中文", "long " * 12]
    shown = [
        "$x_1$",
        r"\frac{1",
        "<b>&amp;",
        "two lines",
        "Привет",
        "□□",
        "long long long long lon…",
    ]
    figure = confusion_matrix(random_counts(7), labels, "$a_b$")
    assert names(figure.axes[0].xaxis) == shown
    assert [name.rsplit(" ", 1)[0] for name in names(figure.axes[0].yaxis)] == shown
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(figure)  # a formula that does not parse would raise, a character without glyph warn
    drawn = figure.findobj(Text)
    assert not any(text.get_parse_math() for text in drawn if text.get_text())


@settings(deadline=None, max_examples=10)
@given(st.lists(st.text(max_size=80), min_size=2, max_size=2), st.text(max_size=80))
def test_any_text_can_be_drawn(labels, title):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion(COUNTS[:2, :2], labels, title)


def test_png_holds_the_whole_figure():
    picture = draw_confusion(COUNTS, NAMES, "title")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    # Three cells of an inch at 150 dots, and room for names, title, recalls and the scale.
    assert 450 < height < 700
    assert 700 < width < 1000


def test_equal_input_gives_equal_bytes_whatever_the_style_and_the_thread():
    def draw(seed):
        return draw_confusion(random_counts(4, seed), [*NAMES, "$x_1$"], "title")

    alone = [draw(seed) for seed in range(4)]
    assert len(set(alone)) == 4
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(draw, range(4))) == alone
    with style.context("dark_background"), rc_context({"text.usetex": True, "axes.grid": True}):
        assert draw(0) == alone[0]


@pytest.mark.parametrize(("shape", "classes"), [((2, 3), 2), ((2, 2), 3), ((4,), 2), ((0, 0), 0)])
def test_counts_that_do_not_fit_the_labels(shape, classes):
    with pytest.raises(ValueError, match="do not fit"):
        confusion_matrix(np.zeros(shape, int), ["a"] * classes, "")
