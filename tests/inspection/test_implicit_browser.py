"""Test how the page shows implicit maps: signed colours and lines, channels, and other runs."""

import pytest
import torch
from made_maps import influence, language_model, without_attention, words
from opened_pages import assert_shows, heading, line_ends, pixels, value_at

from minitx.inspection.maps import AttentionMaps
from minitx.inspection.page import page
from minitx.inspection.weights import AttentionMap

TOKENS = words(4)
WEIGHTS = torch.tensor(
    [[[0.5, 0, 0, 0], [-0.3, 0.1, 0, 0], [0, -1.6, 0.4, 0], [0.2, -0.00001, 0, 1.6]]]
)


def implicit(weights=WEIGHTS, **about):
    attended = AttentionMap(
        "decoder.layers.0.implicit", weights, TOKENS, TOKENS, tuple(range(len(weights))), **about
    )
    return AttentionMaps((attended,), "a recurrence", {}, influence(TOKENS, TOKENS))


def test_signed_weights_are_read_painted_and_connected(show):
    opened = show(page(implicit()))
    assert heading(opened) == "Implicit decoder attention, layer 0"
    assert value_at(opened, 1, 0) == "\N{MINUS SIGN}0.3000"
    assert value_at(opened, 3, 1) == "> \N{MINUS SIGN}0.0001"
    assert_shows(opened, WEIGHTS[0].clamp(min=0)[:1])
    red, _, blue, alpha = pixels(opened, ".matrix canvas").unbind(-1)
    assert red[2, 1] > blue[2, 1]  # the most negative one
    assert blue[3, 3] > red[3, 3]  # the largest
    assert (alpha == 0).equal(WEIGHTS[0] == 0)
    ticks = opened.locator(".scale .ticks span").all_inner_texts()
    assert ticks == ["\N{MINUS SIGN}1.6", "\N{MINUS SIGN}0.4", "0", "0.4", "1.6"]
    assert line_ends(opened, "query") == [0, 1, 2, 3]
    assert "negative ones are dashed" in opened.locator(".lines .note").inner_text()
    opened.locator(".tokens.query li").nth(2).hover()
    values = opened.locator(".tokens.key .value").all_inner_texts()
    assert values == ["", "\N{MINUS SIGN}1.6000", "0.4000", ""]


def test_shares_have_the_scale_of_attention_and_channels_are_named(show):
    shares = WEIGHTS.clamp(0, 1)
    opened = show(page(implicit(shares, unit="channel", mean_of=128)))
    assert heading(opened) == "Implicit decoder attention, layer 0, mean of 128 channels"
    assert opened.locator(".scale .ticks span").last.inner_text() == "1"
    opened = show(page(implicit(shares.repeat(2, 1, 1), unit="channel")))
    assert heading(opened) == "Implicit decoder attention, layer 0, channel 0"
    assert opened.locator(".switches legend").all_inner_texts()[-1] == "Channels"


def test_three_kinds_of_maps_are_next_to_each_other(show):
    transformer = AttentionMaps(
        language_model(1, 2, TOKENS).maps, "attends", {}, influence(TOKENS, TOKENS)
    )
    opened = show(page(implicit(), transformer, without_attention(TOKENS)), width=1700)
    places = [opened.locator(".run").nth(i).bounding_box() for i in range(3)]
    assert places[0]["x"] < places[1]["x"] < places[2]["x"]
    assert places[0]["y"] == pytest.approx(places[2]["y"], abs=1)
    headings = opened.locator(".matrix h3")
    assert {*headings.all_inner_texts()} == {"Influence (gradient × input)"}
    opened.get_by_role("radio", name="Decoder, implicit").check(force=True)
    assert headings.all_inner_texts() == [
        "Implicit decoder attention, layer 0",
        "Decoder self-attention, layer 0, head 0",
        "Influence (gradient × input)",
    ]


def test_two_runs_begin_with_attention_and_the_implicit_maps_in_its_place(show):
    both = page(AttentionMaps(implicit().maps, "", {}), language_model(2, 2, TOKENS))
    opened = show(both)
    assert opened.locator(".matrix h3").all_inner_texts() == [
        "Implicit decoder attention, layer 0",
        "Decoder self-attention, layer 0, head 0",
    ]
    opened.locator(".run").nth(1).get_by_role("radio", name="1", exact=True).first.check(force=True)
    assert "layer 1" in opened.locator(".matrix h3").nth(1).inner_text()
