"""Test pictures of attention by reading matplotlib's objects, the pixels and the SVG."""

import base64
import io
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inspected import PAIRS, TEXTS, lstm, make_run, transformer
from matplotlib import rc_context, style
from matplotlib.image import imread
from matplotlib.text import Text

from minitx.drawing import figures
from minitx.drawing.figures import png, svg
from minitx.errors import UserError
from minitx.inspection.grid import alignment, attention_grid, head_heatmap
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.reading import attention
from minitx.inspection.weights import AttentionMap

PADDING = 24  # dots that `png` adds at each side


def random_maps(layers=2, heads=3, source=6, target=None, title="a run"):
    """Of a language model, or where `target` is given of an encoder and a decoder."""
    generator = torch.Generator().manual_seed(0)
    words = [tuple(f"word{i}" for i in range(n)) for n in (source, target or source)]

    def one(name, queries, keys):
        scores = torch.randn(heads, len(queries), len(keys), generator=generator) * 2
        if name.startswith("decoder") and name.endswith("self"):
            scores.masked_fill_(torch.ones(scores.shape[1:]).triu(1).bool(), -torch.inf)
        return AttentionMap(name, scores.softmax(-1), queries, keys, tuple(range(heads)))

    maps = []
    for layer in range(layers):
        if target is not None:
            maps.append(one(f"encoder.layers.{layer}.self", words[0], words[0]))
            maps.append(one(f"decoder.layers.{layer}.cross", words[1], words[0]))
        maps.append(one(f"decoder.layers.{layer}.self", words[1], words[1]))
    return AttentionMaps(tuple(maps), title, {})


def with_tokens(tokens):
    """One map of one head, from tokens to themselves."""
    tokens = tuple(tokens)
    weights = torch.full((1, len(tokens), len(tokens)), 1 / len(tokens))
    each = AttentionMap("decoder.layers.0.self", weights, tokens, tokens, (0,))
    return AttentionMaps((each,), "a run", {})


def drawn_maps(figure):
    """The images of maps, without that of the scale."""
    return figure.axes[0].images[:-1]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def queries(figure):
    """The labels of the rows of the maps, whose place is where they end."""
    return [t for t in figure.axes[0].texts if (t.get_ha(), t.get_va()) == ("right", "center")]


def box(image):
    """Left, right, top and bottom of an image in dots."""
    left, right, bottom, top = image.get_extent()
    return left, right, top, bottom


def cell(image):
    """How wide a cell is."""
    left, right, _, _ = box(image)
    return (right - left) / image.get_array().shape[1]


def assert_apart(figure):
    """No text lies on another or on a map, and all lie within the figure."""
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.width > 0 for box in boxes)
    for one, other in combinations(boxes, 2):
        assert not one.padded(-0.5).overlaps(other.padded(-0.5))
    for each in figure.axes[0].images:
        image = each.get_window_extent().padded(-0.5)
        assert not any(box.overlaps(image) for box in boxes)
        boxes_of_page = [*boxes, image]
    assert all(figure.bbox.count_contains(box.corners()) == 4 for box in boxes_of_page)


def size(figure):
    """Width and height in dots of the picture that `png` makes."""
    return figure.bbox.size + 2 * PADDING


def test_every_map_is_drawn_with_its_weights():
    maps = random_maps()
    images = drawn_maps(attention_grid(maps))
    weights = [head for each in maps.maps for head in each.weights]
    assert len(images) == len(weights) == 6
    for image, head in zip(images, weights, strict=True):
        np.testing.assert_array_equal(image.get_array(), head.numpy())
        assert image.get_clim() == (0, 1)  # in every picture, so that pictures compare
        assert image.origin == "upper"


def test_the_dots_of_the_picture_are_the_weights():
    figure = attention_grid(random_maps(source=7, target=5))
    picture = imread(io.BytesIO(png(figure)))[..., :3]
    assert picture.shape[1::-1] == tuple(size(figure))
    axes = figure.axes[0]
    x0, y0 = axes.get_xlim()[0] - PADDING, axes.get_ylim()[1] - PADDING
    for image in drawn_maps(figure):
        colours = image.to_rgba(image.get_array())[..., :3]
        wide = int(cell(image))
        expected = colours.repeat(wide, axis=0).repeat(wide, axis=1)
        left, right, top, bottom = (
            int(edge - start) for edge, start in zip(box(image), (x0, x0, y0, y0), strict=True)
        )
        np.testing.assert_allclose(picture[top:bottom, left:right], expected, atol=1 / 255)


def test_queries_are_written_next_to_their_rows_and_keys_above_their_columns():
    maps = random_maps(layers=1, heads=1, source=3, target=4)
    figure = attention_grid(maps, "cross")
    (image,) = drawn_maps(figure)
    left, right, top, bottom = box(image)
    words = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    written = {text.get_text(): text.get_position() for text in queries(figure)}
    assert list(written) == ["word0", "word1", "word2", "word3"]
    for number, (x, y) in enumerate(written.values()):
        assert x < left
        assert y == top + (number + 0.5) * (bottom - top) / 4
    above = [t for t in figure.axes[0].texts if t.get_rotation() == 90]
    assert [t.get_text() for t in above] == ["word0", "word1", "word2"]
    for number, text in enumerate(above):
        x, y = text.get_position()
        assert x == left + (number + 0.5) * (right - left) / 3
        assert y < top
    assert words["head 0"][1] < words["layer 0"][1]


def test_layers_are_rows_and_heads_are_columns():
    run = make_run(TEXTS, transformer(layers=3, heads=4))
    maps = attention(run, "abc", layers=[2, 0], heads=[3, 1])
    figure = attention_grid(maps)
    images = {tuple(image.get_array().flat): box(image) for image in drawn_maps(figure)}
    places = {
        (name, head): images[tuple(weights.flatten().tolist())]
        for name, tensor in maps.items()
        for head, weights in zip((3, 1), tensor, strict=True)
    }
    lefts = {head: {box[0] for (_, h), box in places.items() if h == head} for head in (1, 3)}
    assert len(lefts[1]) == len(lefts[3]) == 1
    assert lefts[1] < lefts[3] or min(lefts[1]) < min(lefts[3])
    tops = [places[f"decoder.layers.{layer}.self", 1][2] for layer in (0, 2)]
    assert tops[0] < tops[1]
    assert [text for text in texts(figure) if text[:4] in ("head", "laye")] == [
        *("head 1", "head 3", "layer 0", "layer 2"),
    ]


def test_a_translation_is_one_picture_with_the_alignment_largest():
    run = make_run(PAIRS, transformer(heads=4))
    maps = attention(run, "abcdefghabcd", output="one two three four five six seven")
    figure = attention_grid(maps)
    titles = ["Encoder self-attention", "Decoder self-attention", "Cross-attention"]
    places = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    encoder, decoder, cross = (places[title] for title in titles)
    assert encoder[1] == decoder[1] < cross[1]
    assert encoder[0] == cross[0] < decoder[0]
    images = drawn_maps(figure)
    assert len(images) == 3 * 2 * 4
    cells = [cell(image) for image in images]
    assert min(cells[-8:]) > max(cells[:-8])
    assert_apart(figure)
    assert [len(drawn_maps(maps.plot(kind))) for kind in ("encoder", "decoder", "cross")] == [8] * 3
    assert [t for t in titles if t in texts(maps.plot("cross"))] == ["Cross-attention"]


def test_the_attention_of_a_recurrent_decoder_is_one_large_map():
    maps = attention(make_run(PAIRS, lstm(attention="additive")), "abc", output="one two")
    figure = attention_grid(maps)
    (image,) = drawn_maps(figure)
    np.testing.assert_array_equal(image.get_array(), maps["decoder.cross"][0].numpy())
    assert cell(image) == 48
    assert not [text for text in texts(figure) if "head" in text or "layer" in text]
    assert_apart(figure)


def test_missing_kinds_of_maps_are_named():
    maps = random_maps()
    with pytest.raises(UserError, match="a run has no cross maps to draw; it has decoder"):
        attention_grid(maps, "cross")
    with pytest.raises(UserError, match="a run has no cross maps"):
        alignment(maps)
    with pytest.raises(UserError, match="a run has no attention maps to draw; it has none"):
        attention_grid(AttentionMaps((), "a run", {}))


def test_alignment_is_the_mean_of_the_last_layer():
    maps = random_maps(layers=2, heads=3, source=4, target=5)
    figure = alignment(maps)
    (image,) = drawn_maps(figure)
    expected = maps["decoder.layers.1.cross"].mean(dim=0)
    np.testing.assert_array_equal(image.get_array(), expected.numpy())
    assert "Cross-attention: layer 1, mean of 3 heads" in texts(figure)
    assert_apart(figure)


def test_alignment_of_one_head_is_that_head():
    run = make_run(PAIRS, transformer(layers=2, heads=4))
    maps = attention(run, "abc", output="one two", layers=[0], heads=[2])
    figure = alignment(maps)
    np.testing.assert_array_equal(
        drawn_maps(figure)[0].get_array(), maps["decoder.layers.0.cross"][0].numpy()
    )
    assert "Cross-attention: layer 0, head 2" in texts(figure)


@pytest.mark.parametrize(
    ("layers", "heads", "source", "target"),
    [
        (1, 1, 1, None),
        (1, 1, 12, None),
        (12, 12, 1, None),
        (3, 4, 8, None),
        (3, 4, 30, None),
        (2, 8, 61, None),
        (2, 12, 181, None),  # where the last of the labels is also that of the last token
        (1, 2, 2, 1),
        (2, 4, 9, 30),
        (2, 4, 90, 40),
    ],
)
def test_labels_do_not_overlap(layers, heads, source, target):
    assert_apart(attention_grid(random_maps(layers, heads, source, target)))


def test_every_token_is_labelled_where_there_is_room():
    figure = attention_grid(random_maps(layers=3, heads=4, source=30))
    written = texts(figure)
    assert all(written.count(f"word{i}") == 3 + 4 for i in range(30))  # each row and each column
    assert all(text.get_fontsize() >= 6 for text in figure.axes[0].texts)


def test_short_labels_stay_upright_next_to_a_long_one():
    maps = with_tokens([*"phonetician", "<eos>"])
    above = [t for t in attention_grid(maps).axes[0].texts if t.get_va() in ("baseline", "bottom")]
    turned = {text.get_text(): text.get_rotation() for text in above}
    assert {text for text, angle in turned.items() if angle} == {"<eos>"}
    assert set("phonetician") <= set(turned)


@pytest.mark.parametrize("target", [None, 128])
def test_twelve_layers_of_twelve_heads_have_a_dot_for_every_weight(target):
    maps = random_maps(12, 12, 128, target)
    figure = attention_grid(maps)
    assert max(size(figure)) < 4000
    assert {image.get_array().shape for image in drawn_maps(figure)} == {(128, 128)}
    assert {cell(image) for image in drawn_maps(figure)} == {1 if target else 2}


def test_more_tokens_than_dots():
    maps = random_maps(layers=1, heads=12, source=500)
    figure = attention_grid(maps)
    assert max(size(figure)) < 4000
    for image, weights in zip(drawn_maps(figure), maps["decoder.layers.0.self"], strict=True):
        largest = weights.unflatten(1, (-1, 2)).unflatten(0, (-1, 2)).amax(dim=(1, 3))
        np.testing.assert_array_equal(image.get_array(), largest.numpy())
    assert any("A dot is the largest of 2 x 2 weights." in text for text in texts(figure))


def test_tokens_are_taken_literally_and_can_be_seen(monkeypatch):
    monkeypatch.setattr(figures, "_fonts", lambda: ["DejaVu Sans"])  # knows no Chinese
    shown = {
        "$x_1$": "$x_1$",
        r"\frac{1": r"\frac{1",
        "<b>&amp;": "<b>&amp;",
        " the": "␣the",
        "\n": "⏎",
        "\u202eabc": "‹U+202E›abc",
        "\u0301": "◌\u0301",
        "שלום": "שלום",
        "中文": "‹U+4E2D›‹U+6587›",
        "": "∅",
        "long" * 10: "longlonglon…",
        r"\xf0\x9f": r"\xf0\x9f",
    }
    figure = attention_grid(with_tokens(shown))
    assert [text.get_text() for text in queries(figure)] == list(shown.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(figure)  # a formula that does not parse would raise, a character without glyph warn
        svg(figure)
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if text.get_text())


@settings(deadline=None, max_examples=5)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_any_token_can_be_drawn(tokens):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(attention_grid(with_tokens(tokens)))


def test_equal_maps_give_equal_bytes_whatever_the_style_and_the_thread():
    def draw(heads):
        figure = attention_grid(random_maps(layers=1, heads=heads, source=4))
        return png(figure), svg(figure)

    alone = [draw(heads) for heads in (1, 2, 3)]
    assert len(set(alone)) == 3
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(draw, (1, 2, 3))) == alone
    with (
        style.context("dark_background"),
        rc_context({"text.usetex": True, "axes.grid": True, "svg.fonttype": "none"}),
    ):
        assert draw(2) == alone[1]


def test_svg_holds_every_weight_and_draws_text_as_shapes():
    maps = random_maps(layers=1, heads=2, source=5, target=4)
    figure = attention_grid(maps, "cross")
    root = ElementTree.fromstring(svg(figure))
    assert not list(root.iter("{http://www.w3.org/2000/svg}text"))
    images = list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) == 3  # and the scale
    for drawn, image in zip(images, drawn_maps(figure), strict=False):
        data = re.sub(
            r"^data:image/png;base64,", "", drawn.get("{http://www.w3.org/1999/xlink}href")
        )
        dots = imread(io.BytesIO(base64.b64decode(data)))
        assert "pixelated" in drawn.get("style")
        expected = image.to_rgba(image.get_array())
        # The transform turns an image that is stored upside down.
        assert any(np.allclose(dots, way, atol=1 / 255) for way in (expected, expected[::-1]))


def test_a_notebook_shows_a_figure_by_itself():
    figure = attention_grid(with_tokens("ab"))
    assert figure._repr_png_() == png(figure)


VALUES = np.array([[0.5, -0.25, 0.004], [np.nan, 0, 0.1234]])


def test_head_heatmap_has_a_number_for_every_head():
    figure = head_heatmap(VALUES, ["layer 0", "$x_1$"], ["head 0", "head 1", "head 2"], "the loss")
    (image,) = drawn_maps(figure)
    np.testing.assert_array_equal(image.get_array().filled(np.nan), VALUES)
    assert image.get_clim() == (-0.5, 0.5)  # no change is white
    written = texts(figure)
    assert written == [
        *("layer 0", "$x_1$", "head 0", "head 1", "head 2"),
        *("0.500", "−0.250", "0.004", "0.000", "0.123"),
        *("−0.5", "0", "0.5", "the loss"),
    ]
    assert_apart_but_for_cells(figure)


def assert_apart_but_for_cells(figure):
    """Numbers lie within the matrix, and no text lies on another."""
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for one, other in combinations(boxes, 2):
        assert not one.padded(-0.5).overlaps(other.padded(-0.5))
    assert all(figure.bbox.count_contains(box.corners()) == 4 for box in boxes)


def test_colours_of_heads_are_white_red_and_blue():
    figure = head_heatmap([[0.0, 1.0, -1.0, np.nan, np.inf]], ["a"], list("bcdef"), "")
    (image,) = drawn_maps(figure)
    white, red, blue, none, infinite = image.to_rgba(image.get_array())[0, :, :3]
    assert white.min() > 0.95
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    np.testing.assert_array_equal(none, infinite)
    assert none[0] == none[1] == none[2] < 0.95


@pytest.mark.parametrize("scale", [0, 1e-5, 0.02, 7, 12345])
def test_numbers_have_three_digits_of_the_largest(scale):
    figure = head_heatmap([[scale, -scale / 3]], ["a"], ["b", "c"], "")
    numbers = texts(figure)[3:5]
    expected = {
        0: ["0", "0"],
        1e-5: ["0.0000100", "−0.0000033"],
        0.02: ["0.0200", "−0.0067"],
        7: ["7.00", "−2.33"],
        12345: ["12345", "−4115"],
    }
    assert numbers == expected[scale]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (36, 16), (3, 100), (200, 2)])
def test_heat_maps_are_bounded_and_their_texts_apart(rows, columns):
    values = np.random.default_rng(0).normal(size=(rows, columns))
    names = [f"decoder.layers.{row}.cross" for row in range(rows)]
    figure = head_heatmap(values, names, [str(column) for column in range(columns)], "x")
    assert max(size(figure)) < 4000
    assert_apart_but_for_cells(figure)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((2, 3), 3, 2), ((2, 3), 2, 2), ((3,), 1, 3), ((0, 0), 0, 0)]
)
def test_values_that_do_not_fit_the_labels(shape, rows, columns):
    with pytest.raises(ValueError, match="do not fit"):
        head_heatmap(np.zeros(shape), ["a"] * rows, ["b"] * columns, "")
