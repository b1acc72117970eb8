"""The page in a browser: names and orders of heads, predictions, filters, and linked runs."""

import dataclasses

import pytest
import torch
from browsers import needs_browser
from made_maps import encoder, language_model, translation, words
from opened_pages import heading, line_ends, pixels, press, settle

from minitx.inspection.history import add_frame, read_history
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.page import page
from minitx.inspection.weights import AttentionMap, Findings, HeadCosts, Prediction

pytestmark = needs_browser

NAME = "decoder.layers.{}.self"
TOKENS = ("We", " are", ".", "\n", "You", " were", ".", "They")
COUNT = len(TOKENS)


def known_heads():
    """Two layers of three heads that are each perfect at one thing."""
    ones = torch.ones(COUNT, COUNT).tril()
    first = torch.zeros(COUNT, COUNT)
    first[:, 0] = 1
    previous = torch.eye(COUNT).roll(-1, dims=1).tril(-1)
    previous[0, 0] = 1
    even, itself = ones / ones.sum(-1, keepdim=True), torch.eye(COUNT)
    layers = (torch.stack([even, previous, first]), torch.stack([itself, even, even]))
    maps = tuple(
        AttentionMap(NAME.format(n), weights, TOKENS, TOKENS, (0, 1, 2))
        for n, weights in enumerate(layers)
    )
    induction = {NAME.format(0): torch.zeros(3), NAME.format(1): torch.tensor([0.0, 0.25, 0.75])}
    places = [(NAME.format(layer), head) for layer in (0, 1) for head in (0, 1, 2)]
    costs = dict(zip(places, [0.01, 0.5, -0.02, 0.0, 0.2, 0.1], strict=True))
    found = Findings(induction, predictions(), HeadCosts("loss", "val", costs))
    return AttentionMaps(maps, "known heads", {"run": "one", "text": "".join(TOKENS)}, None, found)


def predictions():
    """The right token is the most probable one, except after the third token and the last."""
    made = []
    for place, token in enumerate(TOKENS):
        after = TOKENS[place + 1] if place + 1 < COUNT else None
        sure = (after or "So", 0.625)
        if place == 2:
            made.append(Prediction(token, (("!", 0.75), ("?", 0.125)), (0.0625, 4)))
        else:
            actual = None if after is None else (0.625, 0)
            made.append(Prediction(token, (sure, ("x", 0.25)), actual))
    return tuple(made)


def order(opened):
    """The heads in the order of the list, as (layer, head)."""
    names = opened.locator(".ranking .small-map").evaluate_all(
        "maps => maps.map(map => map.getAttribute('aria-label'))"
    )
    return [tuple(int(part.split()[1]) for part in name.split(", ")) for name in names]


def sort_by(opened, measure):
    opened.locator(".overview .sort select").first.select_option(label=measure)


def test_heads_are_named_after_what_they_do(show):
    opened = show(page(known_heads()))
    assert opened.locator(".short").all_inner_texts() == [
        *["broad", "prev", "first"],
        *["self", "broad", "induct"],
    ]
    counted = dict(
        text.rsplit(maxsplit=1) for text in opened.locator(".names button").all_inner_texts()
    )
    once = ["induction", "previous token", "first token", "itself"]
    assert counted == dict.fromkeys(once, "1") | {"broad": "2"}
    opened.get_by_role("button", name="broad 2").click()
    lit = opened.locator(".small-map:not(.dim)").evaluate_all(
        "maps => maps.map(map => map.getAttribute('aria-label'))"
    )
    assert lit == ["layer 0, head 0", "layer 1, head 1"]
    opened.get_by_role("button", name="broad 2").click()
    assert opened.locator(".small-map.dim").count() == 0
    opened.get_by_role("button", name="layer 1, head 2").click()
    said = opened.locator(".does").inner_text()
    assert said.startswith("induction · previous token 0.")
    assert "induction 0.750" in said
    assert "importance +10.00%" in said


HIGHEST = {
    "previous token": [(0, 1)],
    "first token": [(0, 2)],
    "itself": [(1, 0)],
    "induction": [(1, 2), (1, 1)],
    "importance": [(0, 1), (1, 1), (1, 2), (0, 0), (1, 0), (0, 2)],
}


def test_heads_are_sorted_by_what_was_measured(show):
    opened = show(page(known_heads()))
    for measure, highest in HIGHEST.items():
        sort_by(opened, measure)
        assert order(opened)[: len(highest)] == highest, measure
    opened.get_by_role("button", name="highest first").click()
    assert order(opened) == HIGHEST["importance"][::-1]
    # A choice keeps the order, and the arrow keys follow it.
    opened.locator(".ranking .small-map").nth(2).click()
    assert opened.locator(".ranking .small-map").nth(2).get_attribute("aria-pressed") == "true"
    press(opened, "ArrowDown", "Enter")
    assert heading(opened) == "Decoder self-attention, layer 1, head 2"
    sort_by(opened, "layer and head")
    assert opened.locator("table .small-map").count() == 6


def test_only_what_was_measured_can_be_chosen(show):
    opened = show(page(translation()))  # cross-attention of four tokens
    options = opened.locator(".overview .sort option").all_inner_texts()
    assert options == ["layer and head", "first token", "alignment", "entropy"]
    opened.get_by_role("radio", name="Encoder").check(force=True)
    options = opened.locator(".overview .sort option").all_inner_texts()
    assert {"next token", "distance"} < set(options)
    assert {"induction", "importance"}.isdisjoint(options)


SPEECH = (
    "to be or not to be that is the question whether it is nobler in the mind to suffer . "
    "the slings and arrows of outrageous fortune ! "
)


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (400, 800)])
def test_the_map_fits_the_window_at_first(show, width, height):
    # Most labels are left out, and which ones depends on the size of the cells.
    tokens = (5 * SPEECH).split()[:128]
    opened = show(page(encoder(12, 12, tokens)), width, height)
    pane, cells = (
        opened.locator(name).bounding_box() for name in (".matrix-pane", ".matrix .cells")
    )
    assert cells["x"] + cells["width"] <= pane["x"] + pane["width"] <= width
    assert cells["y"] + cells["height"] <= pane["y"] + pane["height"]
    assert pane["height"] <= height
    if width == 1400:  # without scrolling
        assert pane["y"] + pane["height"] <= height
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.set_viewport_size({"width": width, "height": height - 200})
    settle(opened)
    assert opened.locator(".matrix-pane").bounding_box()["height"] <= height - 200


def test_twelve_heads_have_twelve_colours_and_one_can_be_emphasised(show):
    opened = show(page(encoder(1, 12, words(12))))
    opened.get_by_role("button", name="All", exact=True).click()
    colours = opened.locator(".swatch").evaluate_all(
        "all => all.map(swatch => getComputedStyle(swatch).backgroundColor)"
    )
    assert len(set(colours)) == 12
    settle(opened)
    full = pixels(opened, ".lines canvas")[..., 3].float().mean()
    opened.get_by_role("checkbox").nth(3).locator("xpath=following-sibling::*").hover()
    settle(opened)
    assert pixels(opened, ".lines canvas")[..., 3].float().mean() < 0.6 * full


def candidates(opened, run=0):
    table = opened.locator(".candidates").nth(run)
    rows = table.locator("tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('th, .amount, .rank')]"
        ".map(cell => cell.textContent))"
    )
    return table.locator("caption").inner_text(), rows


def test_the_next_token_is_predicted_at_every_position(show):
    opened = show(page(known_heads()))
    assert candidates(opened) == ("After They", [["So", "0.6250", ""], ["x", "0.2500", ""]])
    bars = opened.locator(".flow .bar").evaluate_all("bars => bars.map(bar => bar.style.width)")
    assert bars == ["0%", "62.5%", "62.5%", "6.25%", *["62.5%"] * 4, "0%"]
    opened.locator(".flow li").nth(1).hover()
    assert candidates(opened)[1][0] == ["␣are", "0.6250", "in the text"]
    opened.locator(".flow li").nth(3).hover()
    expected = [["!", "0.7500", ""], ["?", "0.1250", ""], ["⏎", "0.0625", "in the text, rank 5"]]
    assert candidates(opened) == ("After .", expected)
    opened.locator(".flow li[tabindex='0']").focus()
    press(opened, "ArrowRight")
    assert candidates(opened)[0] == "After ⏎"
    press(opened, "Home")
    assert candidates(opened) == ("Nothing comes before the first token.", [])
    # A row of the map belongs to the prediction after its token.
    opened.locator(".matrix-pane").focus()
    press(opened, "ArrowDown", "ArrowDown")
    assert candidates(opened)[0] == "After ."
    assert "next: ! 0.7500" in opened.locator(".tip").inner_text()


def test_other_models_predict_no_next_token(show):
    opened = show(page(translation()))
    assert not opened.locator(".predictions").is_visible()


def test_lines_are_filtered_by_direction(show):
    opened = show(page(known_heads()))  # the first head attends evenly
    for direction, rows, values in (
        ("to earlier tokens", range(1, COUNT), [0, 1, 2]),
        ("to the token itself", range(COUNT), [3]),
        ("to later tokens", (), []),
    ):
        opened.get_by_label("Direction of lines").select_option(label=direction)
        settle(opened)
        assert line_ends(opened, "query") == list(rows)
        opened.locator(".tokens.query li").nth(3).hover()
        shown = opened.locator(".tokens.key .value").all_inner_texts()
        assert [i for i, value in enumerate(shown) if value] == values
        opened.locator("h1").hover()
    assert opened.locator(".lines .note").inner_text() == "No line passes the filters."


def test_lines_are_filtered_by_segment(show):
    opened = show(page(known_heads()))
    sources = opened.get_by_label("Lines from segment")
    assert sources.locator("option").all_inner_texts() == [
        *["any segment", "1: We are.", "2: You were.", "3: They"],
    ]
    sources.select_option(label="2: You were.")
    settle(opened)
    assert line_ends(opened, "query") == [4, 5, 6]
    assert line_ends(opened, "key") == [0, 1, 2, 3, 4, 5, 6]
    for to, keys in (("the same segment", [4, 5, 6]), ("other segments", [0, 1, 2, 3])):
        opened.get_by_label("Lines to segment").select_option(label=to)
        settle(opened)
        assert line_ends(opened, "key") == keys
    # The filters stay while heads are switched.
    opened.get_by_role("button", name="layer 0, head 2").click()
    settle(opened)
    assert line_ends(opened, "key") == [0]


def test_two_runs_are_linked_and_titled(show):
    one = known_heads()
    other = dataclasses.replace(one, about={**one.about, "run": "other"})
    opened = show(page(one, other), 1400, 900)
    labels = opened.locator(".of-run:visible").all_inner_texts()
    assert labels == ["one"] * 5 + ["other"] * 5  # the title, and four views
    opened.locator("article").nth(1).get_by_role("button", name="layer 0, head 1").click()
    both = ["Decoder self-attention, layer 0, head 1"] * 2
    assert opened.locator(".matrix h3").all_inner_texts() == both
    sort_by(opened, "induction")
    assert opened.locator(".ranking").count() == 2
    opened.locator(".matrix-pane").first.focus()
    press(opened, "ArrowDown", "ArrowDown", "ArrowRight")
    assert opened.locator(".tip strong").all_inner_texts() == ["1.0000", "1.0000"]
    assert candidates(opened, 1)[0] == "After ."
    opened.locator(".tokens.query").nth(1).locator("li").nth(5).hover()
    assert opened.locator(".query [aria-selected=true] bdi").all_inner_texts() == ["␣were"] * 2
    opened.locator("h1").first.hover()
    assert opened.locator(".query [aria-selected=true]").count() == 0

    opened.get_by_label("Linked").uncheck(force=True)
    opened.locator("article").first.get_by_role("button", name="layer 1, head 0").click()
    assert heading_of(opened, 1) == both[0]
    assert heading_of(opened, 0) != both[0]


def heading_of(opened, run):
    return opened.locator(".matrix h3").nth(run).inner_text()


def test_runs_of_the_same_name_are_told_apart(show):
    one = known_heads()
    best, last = (
        dataclasses.replace(one, about={**one.about, "checkpoint": f"{name}.ckpt"})
        for name in ("best", "last")
    )
    names = show(page(best, last)).locator(".overview .of-run").all_inner_texts()
    assert names == ["one, best.ckpt", "one, last.ckpt"]
    assert show(page(one, one)).locator(".overview .of-run").all_inner_texts() == [
        "one (1)",
        "one (2)",
    ]


def test_linked_runs_follow_only_what_both_have(show):
    """The other run has other tokens and fewer heads."""
    opened = show(page(known_heads(), language_model(1, 2)), 1400, 900)
    opened.get_by_role("button", name="layer 1, head 2").click()
    assert heading_of(opened, 1) == "Decoder self-attention, layer 0, head 0"
    opened.locator(".matrix-pane").first.focus()
    press(opened, "ArrowDown")
    assert opened.locator(".tip strong").count() == 1


def formed(path):
    """Maps of a text, with the history of a training in which a head formed."""
    for step in (10, 20, 40):
        maps = language_model(2, 3, words(6))
        if step == 40:
            previous = torch.eye(6).roll(-1, dims=1).tril(-1)
            previous[0, 0] = 1
            maps.maps[1].weights[2] = previous
        add_frame(path, maps, step)
    found = Findings(history=tuple(read_history(path)))
    return dataclasses.replace(known_heads(), findings=found)


@pytest.mark.parametrize("width", [1400, 400])
def test_a_slider_shows_heads_forming(show, tmp_path, width):
    opened = show(page(formed(tmp_path / "history.json")), width, 900)
    opened.get_by_role("button", name="layer 1, head 2").click()
    slider = opened.get_by_role("slider")
    assert not slider.is_visible()
    opened.get_by_role("radio", name="Training steps").check(force=True)
    assert opened.locator(".step").inner_text() == "step 40"
    assert opened.locator(".does strong").inner_text() == "previous token"
    assert opened.locator(".row-labels bdi").first.inner_text() == "word0"
    slider.focus()
    press(opened, "Home")
    assert opened.locator(".step").inner_text() == "step 10"
    assert heading(opened) == "Decoder self-attention, layer 1, head 2"
    assert opened.locator(".does strong").inner_text() != "previous token"
    weights = language_model(2, 3, words(6)).maps[1].weights[2]
    opened.locator(".matrix-pane").focus()
    press(opened, "ArrowDown", "ArrowRight")
    assert float(opened.locator(".tip strong").inner_text()) == pytest.approx(
        float(weights[1, 1]), abs=0.004
    )
    said = opened.locator(".forming svg").get_attribute("aria-label")
    assert said.startswith("previous token over the steps: layer 1, head 2 from 0.")
    assert said.endswith("to 1.000")
    chart = opened.locator(".forming svg")
    chart.click(position={"x": 0.55 * chart.bounding_box()["width"], "y": 20})
    assert opened.locator(".step").inner_text() == "step 20"
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.get_by_role("radio", name="The text above").check(force=True)
    assert opened.locator(".row-labels bdi").first.inner_text() == "We"
    assert not slider.is_visible()


def test_the_steps_are_played(show, tmp_path):
    opened = show(page(formed(tmp_path / "history.json")))
    opened.get_by_role("radio", name="Training steps").check(force=True)
    opened.get_by_role("button", name="Play").click()
    assert opened.locator(".step").inner_text() == "step 10"
    opened.get_by_role("button", name="Play").wait_for()  # no longer "Pause"
    assert opened.locator(".step").inner_text() == "step 40"


def test_the_sliders_of_linked_runs_move_together(show, tmp_path):
    one = formed(tmp_path / "history.json")
    opened = show(page(one, one), 1400, 900)
    opened.get_by_role("radio", name="Training steps").first.check(force=True)
    opened.get_by_role("slider").first.focus()
    press(opened, "ArrowLeft")
    assert opened.locator(".step").all_inner_texts() == ["step 20", "step 20"]
    opened.get_by_role("radio", name="The text above").nth(1).check(force=True)
    assert opened.locator(".steps:visible").count() == 0
