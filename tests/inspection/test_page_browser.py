"""The page in a real browser: the system's Chromium, headless, driven by playwright.

Without a Chromium these tests skip, but never where CI is set in the environment.
"""

from itertools import pairwise

import pytest
import torch
from browsers import needs_browser
from made_maps import (
    HOSTILE,
    encoder,
    language_model,
    random_weights,
    translation,
    without_attention,
    words,
)
from opened_pages import (
    assert_shows,
    heading,
    line_ends,
    pixels,
    press,
    settle,
    tab_to,
    value_at,
)

from minitx.inspection import page as page_module
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.page import frame, page
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionMap

pytestmark = needs_browser


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 2), (1, 1)])
def test_a_click_enlarges_the_right_map(show, layer, head):
    maps = language_model()
    opened = show(page(maps))
    opened.get_by_role("button", name=f"layer {layer}, head {head}").click()
    assert heading(opened) == f"Decoder self-attention, layer {layer}, head {head}"
    assert_shows(opened, maps.maps[layer].weights[head])
    assert opened.locator(".small-map[aria-pressed=true]").count() == 1


def test_a_tip_names_both_tokens(show):
    opened = show(page(translation()))
    opened.get_by_role("button", name="layer 0, head 1").click()
    value_at(opened, 1, 3)
    assert "output1 → source3" in opened.locator(".tip").inner_text()


def test_a_map_is_painted_with_its_weights(show):
    maps = language_model()
    image = pixels(show(page(maps)), ".matrix canvas")
    weights = maps.maps[0].weights[0]
    assert ((image[..., 3] == 0) == (weights == 0)).all()
    # From light to dark: the more weight, the less light.
    order = weights.flatten().argsort(descending=True)[: int((weights > 0).sum())]
    light = image[..., :3].sum(dim=-1).flatten()[order]
    assert (light.diff() >= 0).all()
    assert light[0] < light[-1]


def test_heads_are_switched_on_and_off(show):
    maps = language_model()
    weights = maps.maps[0].weights
    opened = show(page(maps))
    opened.get_by_text("2", exact=True).and_(opened.locator(".chip span")).last.click()
    assert heading(opened) == "Decoder self-attention, layer 0, mean of heads 0, 2"
    assert_shows(opened, weights[[0, 2]].mean(0))
    opened.get_by_role("button", name="All", exact=True).click()
    assert heading(opened) == "Decoder self-attention, layer 0, mean of all 3 heads"
    assert opened.locator(".small-map[aria-pressed=true]").count() == 3
    for box in opened.get_by_role("checkbox").all():
        box.uncheck(force=True)
    assert heading(opened) == "Decoder self-attention, layer 0, no head is selected"
    assert value_at(opened, 0, 0) == "no head is selected"
    assert pixels(opened, ".matrix canvas").max() == 0
    assert line_ends(opened, "query") == []


def test_kinds_and_layers_are_switched(show):
    maps = translation()
    opened = show(page(maps))
    # A translation begins with its alignment.
    assert heading(opened) == "Cross-attention, layer 1, mean of all 2 heads"
    assert_shows(opened, maps["decoder.layers.1.cross"].mean(0))
    opened.get_by_role("radio", name="0", exact=True).check(force=True)
    assert heading(opened) == "Cross-attention, layer 0, mean of all 2 heads"
    assert_shows(opened, maps["decoder.layers.0.cross"].mean(0))
    for name, kind in (("Encoder", "encoder"), ("Decoder", "decoder")):
        opened.get_by_role("radio", name=name).check(force=True)
        assert heading(opened) == f"{name} self-attention, layer 0, head 0"
        assert_shows(opened, maps[f"{kind}.layers.0.self"][0])
    opened.get_by_role("radio", name="Influence").check(force=True)
    assert heading(opened) == "Influence (gradient × input)"
    assert_shows(opened, maps.influence.weights)
    assert not opened.locator(".overview").is_visible()


def test_only_the_kinds_that_there_are_can_be_chosen(show):
    opened = show(page(language_model()))
    assert opened.get_by_role("radio").locator("xpath=following-sibling::*").all_inner_texts() == [
        *["Decoder"],
        *["0", "1"],
    ]


def test_a_new_kind_of_the_same_size_gets_its_own_labels(show):
    opened = show(page(translation(words(4, "source"), words(4, "output"))))
    opened.get_by_role("radio", name="Encoder").check(force=True)
    assert opened.locator(".row-labels bdi").all_inner_texts() == list(words(4, "source"))
    opened.get_by_role("radio", name="Decoder").check(force=True)
    assert opened.locator(".row-labels bdi").all_inner_texts() == list(words(4, "output"))
    assert opened.locator(".tokens.query bdi").all_inner_texts() == list(words(4, "output"))


def test_the_strongest_source_of_each_output_is_ringed(show):
    maps = translation()
    opened = show(page(maps))
    opened.get_by_role("button", name="layer 0, head 0").click()
    size = opened.locator(".matrix .cells").bounding_box()["height"] / 4
    rings = opened.locator(".rings div").evaluate_all(
        "rings => rings.map(ring => [parseFloat(ring.style.top), parseFloat(ring.style.left)])"
    )
    found = [(round(top / size), round(left / size)) for top, left in rings]
    assert found == list(enumerate(maps["decoder.layers.0.cross"][0].argmax(-1).tolist()))


def chain(count):
    """Every token attends to the next one alone, and the last to none."""
    weights = torch.diag(torch.ones(count - 1), 1)[None]
    attended = AttentionMap("encoder.layers.0.self", weights, words(count), words(count), (0,))
    return AttentionMaps((attended,), "a chain", {})


def test_a_token_that_is_pointed_at_shows_only_its_lines(show):
    opened = show(page(chain(5)))
    assert line_ends(opened, "query") == [0, 1, 2, 3]
    assert line_ends(opened, "key") == [1, 2, 3, 4]
    opened.locator(".tokens.query li").nth(2).hover()
    settle(opened)
    assert line_ends(opened, "query") == [2]
    assert line_ends(opened, "key") == [3]
    opened.locator(".tokens.key li").nth(1).hover()
    settle(opened)
    assert line_ends(opened, "query") == [0]
    assert line_ends(opened, "key") == [1]
    opened.locator("h1").hover()
    settle(opened)
    assert line_ends(opened, "query") == [0, 1, 2, 3]


def test_lines_are_as_strong_as_weights(show):
    weights = torch.tensor([[[0.75, 0.25], [0.0, 1.0]]])
    attended = AttentionMap("encoder.layers.0.self", weights, words(2), words(2), (0,))
    opened = show(page(AttentionMaps((attended,), "", {})))
    opened.locator(".tokens.query li").first.hover()
    settle(opened)
    image = pixels(opened, ".lines canvas")[:, -2, 3]
    first, second = (int(image[y - 3 : y + 3].max()) / 255 for y in (16, 48))
    assert first == pytest.approx(0.75, abs=0.06)
    assert second == pytest.approx(0.25, abs=0.06)


def test_values_are_next_to_the_tokens_of_the_active_one(show):
    maps = language_model()
    opened = show(page(maps))
    opened.locator(".tokens.query li").nth(3).hover()
    shown = opened.locator(".tokens.key .value").all_inner_texts()
    weights = maps.maps[0].weights[0, 3].tolist()
    assert [float(text or 0) for text in shown] == pytest.approx(weights, abs=7e-5)
    assert not any(opened.locator(".tokens.query .value").all_inner_texts())


# What is focused: its role or tag, and its name or value.
FOCUS = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const shown = at.matches("input") ? at.nextElementSibling : at;
  return {
    name: at.matches("input") ? at.value : at.getAttribute("aria-label") ?? at.innerText,
    place: (at.closest("li, .small-map, .matrix-pane, fieldset, .zoom") ?? at).className,
    outline: getComputedStyle(shown).outlineStyle !== "none",
  };
}"""


def test_everything_is_reached_by_the_keyboard_and_focus_is_seen(show):
    opened = show(page(translation()))
    stops = []
    for _ in range(40):
        opened.keyboard.press("Tab")
        stop = opened.evaluate(FOCUS)
        if stop is None:
            break  # past the last one
        stops.append(stop)
    assert [stop for stop in stops if not stop["outline"]] == []
    names = [stop["name"] for stop in stops]
    expected = [
        *["cross", "1", "0", "1", "All", "layer 1, head 0"],  # switches, then one of the small maps
        *["Smaller cells", "Larger cells", "Fit the whole map"],
    ]
    assert [name for name in names if name in expected] == expected
    assert any(stop["place"] == "matrix-pane" for stop in stops)


def test_the_keyboard_alone_chooses_reads_and_follows(show):
    maps = translation()
    opened = show(page(maps))
    opened.get_by_role("radio", name="Cross").focus()
    press(opened, "ArrowLeft")
    assert heading(opened) == "Decoder self-attention, layer 0, head 0"
    press(opened, "Tab", "ArrowRight")
    assert heading(opened) == "Decoder self-attention, layer 1, head 0"
    press(opened, "Tab", "Tab", "Space")  # the second head
    assert heading(opened) == "Decoder self-attention, layer 1, mean of all 2 heads"

    tab_to(opened, "layer 1, head 0")  # past "All" and the order of the small maps
    assert opened.evaluate(FOCUS)["name"] == "layer 1, head 0"
    press(opened, "ArrowUp", "ArrowUp", "ArrowRight", "ArrowRight")  # stops at the edges
    assert opened.evaluate(FOCUS)["name"] == "layer 0, head 1"
    press(opened, "Enter")
    assert heading(opened) == "Decoder self-attention, layer 0, head 1"
    weights = maps["decoder.layers.0.self"][1]

    press(opened, *["Tab"] * 5)  # past the zoom to the map
    tip = opened.locator(".tip strong")
    assert float(tip.inner_text()) == pytest.approx(float(weights[0, 0]), abs=7e-5)
    press(opened, "ArrowDown", "ArrowDown", "ArrowRight")
    assert float(tip.inner_text()) == pytest.approx(float(weights[2, 1]), abs=7e-5)
    press(opened, "End")
    assert tip.inner_text() == "0"
    press(opened, "Escape")
    assert tip.count() == 0

    press(opened, "Tab", "Tab", "ArrowDown", "ArrowDown")  # past the filter to the third token
    assert opened.evaluate(FOCUS)["name"].startswith("output2")
    said = opened.locator(".lines [role=status]").inner_text()
    strongest = int(weights[2].argmax())
    assert said.startswith(f"output2: output{strongest} {float(weights[2].max()):.3f}")
    press(opened, "ArrowRight")
    settle(opened)
    assert opened.locator("[aria-selected=true]").inner_text() == "output2"
    assert line_ends(opened, "key") == [2]


def test_tokens_are_shown_as_they_are(show):
    maps = language_model(1, 1, HOSTILE)
    maps.about.update(text="".join(HOSTILE), output=HOSTILE[0], notes=list(HOSTILE))
    opened = show(page(maps))
    shown = list(map(visible, HOSTILE))
    assert (
        opened.locator(".tokens.query bdi").evaluate_all("a => a.map(b => b.textContent)") == shown
    )
    assert opened.locator(".row-labels bdi").evaluate_all("a => a.map(b => b.textContent)") == shown
    value_at(opened, 1, 0)
    tip = opened.locator(".tip span").evaluate("e => e.textContent")
    assert tip == f"{shown[1]} → {shown[0]}"
    assert opened.evaluate("window.hacked") is None
    assert opened.locator("img, b").count() == 0
    assert opened.locator("script").count() == 2


def test_nan_is_shown_as_not_a_number(show):
    weights = torch.tensor([[[torch.nan, torch.nan], [0.5, 0.5]]])
    attended = AttentionMap("encoder.layers.0.self", weights, words(2), words(2), (0,))
    opened = show(page(AttentionMaps((attended,), "", {})))
    assert value_at(opened, 0, 1) == "not a number"
    assert value_at(opened, 1, 1) == "0.5000"


def test_two_runs_are_side_by_side_and_switched_independently(show):
    first = AttentionMaps(language_model().maps, "one", {}, without_attention().influence)
    opened = show(page(first, without_attention()))
    assert opened.locator("h1").all_inner_texts() == ["one", "lstm on made-up words"]
    for part in (".run", ".switches", ".matrix", ".lines"):
        left, right = (opened.locator(part).nth(i).bounding_box() for i in (0, 1))
        assert left["x"] + left["width"] <= right["x"], part
        assert left["y"] == pytest.approx(right["y"], abs=1), part
    # They begin with what both have.
    headings = opened.locator(".matrix h3")
    influence = "Influence (gradient × input)"
    assert headings.all_inner_texts() == [influence, influence]
    opened.get_by_role("radio", name="Decoder").check(force=True)
    assert headings.all_inner_texts() == ["Decoder self-attention, layer 0, head 0", influence]


def test_a_page_without_maps_has_a_message(show):
    opened = show(page(AttentionMaps((), "nothing", {})))
    assert "There are no maps in this page." in opened.locator("main").inner_text()


def test_a_note_names_what_is_left_out(show, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_WEIGHTS", 20)
    opened = show(page(language_model(2, 1, words(5))))
    assert "decoder.layers.1.self" in opened.locator(".notice").inner_text()


def overlapping(opened, selector, start, end):
    """How many neighbours among the labels of a selector lie over one another."""
    boxes = opened.locator(selector).evaluate_all(
        f"labels => labels.map(label => label.getBoundingClientRect())"
        f".map(box => [box.{start}, box.{end}])"
    )
    assert len(boxes) > 1
    return sum(before[1] > after[0] + 0.01 for before, after in pairwise(boxes))


@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("width", [1280, 420])
def test_two_hundred_tokens_are_readable(show, width, fit):
    opened = show(page(language_model(2, 2, words(200))), width)
    if fit:
        opened.get_by_role("button", name="Fit the whole map").click()
        pane, cells = (
            opened.locator(name).bounding_box() for name in (".matrix-pane", ".matrix .cells")
        )
        assert cells["width"] <= pane["width"]
        assert cells["height"] <= 800
    assert overlapping(opened, ".row-labels bdi", "top", "bottom") == 0
    assert overlapping(opened, ".column-labels bdi", "left", "right") == 0
    assert overlapping(opened, ".tokens.query bdi", "top", "bottom") == 0
    sizes = opened.locator(".row-labels bdi").evaluate_all(
        "labels => labels.map(label => parseFloat(getComputedStyle(label).fontSize))"
    )
    assert min(sizes) >= 11
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_the_rows_below_are_reached_by_scrolling(show):
    maps = language_model(1, 1, words(200))
    opened = show(page(maps))
    opened.get_by_role("button", name="A label for every token").click()
    opened.locator(".matrix-pane").focus()
    press(opened, *["ArrowDown"] * 60, "End")
    settle(opened)
    label = opened.locator(".row-labels .lit")
    assert label.inner_text() == "word60"
    assert opened.locator(".column-labels .lit").inner_text() == "word199"
    pane, lit = (each.bounding_box() for each in (opened.locator(".matrix-pane"), label))
    assert pane["y"] < lit["y"] < pane["y"] + pane["height"]

    opened.locator(".tokens.query li").first.focus()
    press(opened, "End")
    settle(opened)
    assert opened.locator("[aria-selected=true]").inner_text() == "word199"
    image = pixels(opened, ".lines canvas")
    assert image[-15:, 1, 3].max() > 0  # the last token's lines begin at the bottom of what is seen


def test_twelve_layers_of_twelve_heads_are_all_drawn(show):
    maps = encoder(12, 12, words(128))
    opened = show(page(maps))
    settle(opened, 15)  # a layer a frame
    drawn = """() => [...document.querySelectorAll(".small-map canvas")].filter((canvas) => {
      const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return canvas.width > 1 && image.data.some((value) => value > 0);
    }).length"""
    assert opened.evaluate(drawn) == 144
    opened.get_by_role("button", name="layer 11, head 7").click()
    weights = maps.maps[11].weights[7]
    assert float(value_at(opened, 3, 5)) == pytest.approx(float(weights[3, 5]), abs=7e-5)


def test_512_tokens_work(show):
    maps = language_model(2, 8, words(512))
    opened = show(page(maps))
    opened.get_by_role("button", name="All", exact=True).click()
    settle(opened)
    note = opened.locator(".lines .note").inner_text()
    assert note.startswith("The 5,000 strongest of")
    drawn = opened.evaluate(
        """async () => {
          let strokes = 0;
          CanvasRenderingContext2D.prototype.stroke = () => { strokes += 1; };
          document.querySelector(".lines-pane").dispatchEvent(new Event("scroll"));
          for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
          return strokes;
        }"""
    )
    assert 100 < drawn <= 5000
    sides = opened.locator("canvas").evaluate_all(
        "all => all.map(c => Math.max(c.width, c.height))"
    )
    assert max(sides) <= 4096  # far from what browsers allow
    opened.get_by_role("button", name="layer 1, head 6").click()
    opened.locator(".matrix-pane").focus()
    press(opened, "ArrowRight", *["ArrowDown"] * 20)
    weight = float(maps.maps[1].weights[6, 20, 1])
    assert float(opened.locator(".tip strong").inner_text()) == pytest.approx(weight, abs=7e-5)


def test_light_and_dark(show):
    maps = language_model()
    shades = {}
    for scheme in ("light", "dark"):
        opened = show(page(maps), scheme=scheme)
        paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        shades[scheme] = (paper, pixels(opened, ".matrix canvas"))
    assert shades["light"][0] == "rgb(255, 255, 255)"
    assert shades["dark"][0] != shades["light"][0]
    # The light page turned dark is drawn as the dark one.
    opened = show(page(maps), scheme="light")
    opened.emulate_media(color_scheme="dark")
    settle(opened)
    assert torch.equal(pixels(opened, ".matrix canvas"), shades["dark"][1])
    assert not torch.equal(shades["light"][1], shades["dark"][1])


def test_a_narrow_screen_scrolls_down_only(show):
    opened = show(page(translation(words(40, "source"), words(30, "output"))), width=420)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 420
    for name in (".overview", ".matrix", ".lines"):
        box = opened.locator(name).bounding_box()
        assert box["x"] + box["width"] <= 420


def test_the_numbers_of_the_scale_keep_apart(show):
    opened = show(page(translation(words(40, "source"), words(30, "output"))), width=360)
    boxes = [tick.bounding_box() for tick in opened.locator(".ticks span").all()]
    assert len(boxes) == 6
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] + 3 < right["x"]


def test_a_page_works_in_a_frame(show):
    maps = language_model()
    opened = show(f"<!doctype html><title>notebook</title>{frame(page(maps))}")
    inner = opened.frame_locator("iframe")
    inner.get_by_role("button", name="layer 1, head 2").click()
    assert inner.locator(".matrix h3").inner_text() == "Decoder self-attention, layer 1, head 2"


def test_a_single_row_is_shown(show):
    opened = show(page(AttentionMaps((), "a classifier", {}, without_attention().influence)))
    assert heading(opened) == "Influence (gradient × input)"


def test_recurrent_attention_has_no_layers_to_choose(show):
    weights = random_weights(1, 3, 4)
    attended = AttentionMap("decoder.cross", weights, words(3), words(4), (0,))
    opened = show(page(AttentionMaps((attended,), "", {})))
    assert heading(opened) == "Cross-attention"
    assert_shows(opened, weights[0])
    assert opened.get_by_role("checkbox").count() == 0
