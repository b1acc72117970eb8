"""Test the content of the page, and that no text in it is interpreted as markup."""

import base64
import dataclasses
import hashlib
import json
import re
import tomllib
from fnmatch import fnmatch
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_maps import (
    HOSTILE,
    OUTPUT,
    encoder,
    language_model,
    random_weights,
    translation,
    without_attention,
    words,
)

from minitx.inspection import page as page_module
from minitx.inspection import tables_html
from minitx.inspection.head_names import measured_heads
from minitx.inspection.history import LONGEST_LABEL, MOST_CHARACTERS, add_frame, read_history
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.measures import measure_heads
from minitx.inspection.packing import encode, full, pack, unpack
from minitx.inspection.page import frame, page
from minitx.inspection.token_labels import visible
from minitx.inspection.weights import AttentionMap, Findings, HeadCosts, Prediction

WEBS = {
    name: files(name) / "web"
    for name in ("minitx.drawing", "minitx.inspection", "minitx.study.report")
}
WEB = WEBS["minitx.inspection"]
FULL = full(16)


class Elements(HTMLParser):
    """Every element of a page, as (tag, attributes), and the text within each kind of them."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.inside = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.inside = tag if tag != "script" else dict(attributes)["type"]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.text[self.inside] = self.text.get(self.inside, "") + data


def data_of(text):
    return json.loads(Elements(text).text["application/json"])


def weights_of(layer):
    """The weights (heads, queries, keys) in a layer of the page's data, read as weights.js does."""
    codes = np.frombuffer(base64.b64decode(layer["codes"]), "<u2").reshape(len(layer["heads"]), -1)
    weights = (codes / FULL) ** 2
    if not layer["triangular"]:
        return weights.reshape(len(codes), len(layer["queries"]), len(layer["keys"]))
    square = np.zeros((len(codes), len(layer["queries"]), len(layer["queries"])))
    square[:, *np.tril_indices(square.shape[-1])] = weights
    return square


def layers_of(run):
    return {layer["name"]: layer for kind in run["kinds"] for layer in kind["layers"]}


@given(arrays(np.float32, (50,), elements=st.floats(0, 1, width=32)))
def test_a_code_stands_for_its_weight(weights):
    decoded = (encode(weights).astype(np.float64) / FULL) ** 2
    assert np.abs(decoded - weights).max() <= 2e-5
    assert ((decoded == 0) == (weights == 0)).all()


def test_small_weights_keep_three_digits():
    weights = np.logspace(-3, 0, 2000, dtype=np.float32)
    decoded = (encode(weights).astype(np.float64) / FULL) ** 2
    assert (np.abs(decoded - weights) / weights).max() < 5e-4


def test_a_weight_beyond_one_is_one_and_what_is_no_number_stays_none():
    codes = encode(np.array([1.0000001, np.inf, np.nan], np.float32))
    assert codes.tolist() == [FULL, FULL, FULL + 1]


@given(arrays(np.float32, (3, 4, 4), elements=st.floats(0, 1, width=32)), st.booleans())
def test_bytes_are_close_enough_to_see(weights, causal):
    weights = np.tril(weights) if causal else weights
    packed = pack(weights, bits=8)
    shown = unpack(packed, 3, 4, 4)
    assert np.abs(shown - weights).max() < 0.004
    assert ((shown == 0) == (weights == 0)).all()
    assert pack(shown, bits=8) == packed


def test_the_scripts_know_the_same_codes():
    source = (WEB / "weights.js").read_text(encoding="utf-8")
    assert f"const FULL = {{ 8: {full(8)}, 15: {full(15)}, 16: {full(16)} }};" in source


@pytest.mark.parametrize("maps", [language_model(), translation(), encoder(2, 3, words(7))])
def test_every_map_is_in_the_page(maps):
    (run,) = data_of(page(maps))
    layers = layers_of(run)
    for each in maps.maps:
        layer = layers[each.name]
        assert layer["queries"] == list(each.queries)
        assert layer["keys"] == list(each.keys)
        np.testing.assert_allclose(weights_of(layer), each.weights, atol=2e-5)
    assert [kind["kind"] for kind in run["kinds"]] == [
        *dict.fromkeys(each.kind for each in maps.maps),
        *(["influence"] if maps.influence else []),
    ]
    if maps.influence:
        np.testing.assert_allclose(
            weights_of(layers["influence"])[0], maps.influence.weights, atol=2e-5
        )


def test_heads_have_their_measures_and_names():
    maps = language_model(2, 3, words(8))
    name = maps.maps[1].name
    costs = HeadCosts("loss", "val", {(name, 2): 0.125})
    found = Findings({name: torch.tensor([0.0, 0.5, 0.1])}, costs=costs)
    (run,) = data_of(page(dataclasses.replace(maps, findings=found)))
    assert run["costs"] == "loss on val"
    measured = layers_of(run)[name]["measured"]
    rows = measure_heads(maps.maps[1:], found.induction)
    for head, row in zip(measured, rows, strict=True):
        for measure in ("entropy", "distance", "first", "previous", "same", "breadth", "induction"):
            assert head[measure] == pytest.approx(getattr(row, measure), abs=1e-5)
        assert "next" not in head  # a causal map has none
    assert measured[1]["name"] == "induction"
    assert [head.get("importance") for head in measured] == [None, None, 0.125]
    assert "induction" not in layers_of(run)[maps.maps[0].name]["measured"][0]


def test_half_of_a_causal_map_is_left_out():
    (causal,) = data_of(page(language_model(1, 1, words(40))))
    (full,) = data_of(page(encoder(1, 1, words(40))))
    sizes = [len(base64.b64decode(run["kinds"][0]["layers"][0]["codes"])) for run in (causal, full)]
    assert sizes == [2 * 40 * 41 // 2, 2 * 40 * 40]


def test_a_single_weight_above_the_diagonal_is_not_lost():
    weights = random_weights(2, 4, 4, causal=True)
    weights[1, 0, 3] = 1e-9
    maps = AttentionMaps((AttentionMap("a", weights, words(4), words(4), (0, 1)),), "", {})
    layer = layers_of(data_of(page(maps))[0])["a"]
    assert (weights_of(layer) != 0).tolist() == (weights != 0).tolist()


def test_some_heads_alone_keep_their_numbers_and_other_modules_their_names():
    weights = random_weights(2, 3, 3)
    maps = AttentionMaps(
        (AttentionMap("blocks.4.attention", weights, words(3), words(3), (2, 5)),), "", {}
    )
    (kind,) = data_of(page(maps))[0]["kinds"]
    assert kind["kind"] == kind["title"] == "blocks"
    assert kind["layers"][0]["title"] == "4"
    assert kind["layers"][0]["heads"] == [2, 5]


def test_labels_that_do_not_fit_weights_are_refused():
    broken = AttentionMap("decoder.layers.0.self", torch.ones(2, 3, 3), words(3), words(4), (0, 1))
    with pytest.raises(ValueError, match=r"decoder.layers.0.self: .*\(2, 3, 3\).* 4 keys"):
        page(AttentionMaps((broken,), "", {}))


def test_a_page_that_is_too_large_names_what_it_leaves_out(monkeypatch):
    maps = encoder(3, 2, words(10))
    monkeypatch.setattr(page_module, "MOST_WEIGHTS", 2 * 2 * 10 * 10)
    (run,) = data_of(page(maps))
    assert run["leftOut"] == ["encoder.layers.2.self"]
    assert list(layers_of(run)) == ["encoder.layers.0.self", "encoder.layers.1.self"]
    for run in data_of(page(maps, maps)):
        assert run["leftOut"] == ["encoder.layers.1.self", "encoder.layers.2.self"]


def test_influence_is_kept_where_attention_is_left_out(monkeypatch):
    monkeypatch.setattr(page_module, "MOST_WEIGHTS", 1)
    (run,) = data_of(page(translation()))
    assert list(layers_of(run)) == ["influence"]
    assert len(run["leftOut"]) == 6


def test_two_runs_and_one_without_attention():
    first, second = data_of(page(language_model(), without_attention()))
    assert [first["title"], second["title"]] == [
        "transformer on made-up words",
        "lstm on made-up words",
    ]
    assert [kind["kind"] for kind in second["kinds"]] == ["influence"]


def test_tokens_are_never_markup():
    maps = language_model(1, 1, HOSTILE)
    maps.about.update(text="".join(HOSTILE), output=HOSTILE[0], notes=list(HOSTILE))
    hostile = page(maps)
    harmless = page(language_model(1, 1, words(len(HOSTILE))))
    assert [tag for tag, _ in Elements(hostile).found] == [
        tag for tag, _ in Elements(harmless).found
    ]
    assert Elements(hostile).text["module"] == Elements(harmless).text["module"]
    (run,) = data_of(hostile)
    assert run["kinds"][0]["layers"][0]["keys"] == list(map(visible, HOSTILE))
    block = re.search(r'id="data">(.*?)</script>', hostile, re.DOTALL)[1]
    assert block.isascii()
    assert not set(block) & set("<>&")


def test_findings_are_never_markup(tmp_path):
    path = tmp_path / "history.json"
    maps = language_model(1, 1, HOSTILE)
    maps.about["text"] = "".join(HOSTILE)
    add_frame(path, maps, 5)
    expected = tuple(Prediction(token, ((token, 0.5),), None) for token in HOSTILE)
    costs = HeadCosts("loss", HOSTILE[0], {})
    found = Findings(None, expected, costs, tuple(read_history(path)))
    text = page(dataclasses.replace(maps, findings=found))
    harmless = page(language_model(1, 1, words(len(HOSTILE))))
    assert [tag for tag, _ in Elements(text).found] == [tag for tag, _ in Elements(harmless).found]
    (run,) = data_of(text)
    assert [each["token"] for each in run["predictions"]] == list(map(visible, HOSTILE))
    kept = run["training"][0]["kinds"][0]["layers"][0]["keys"]
    for label, token in zip(kept, HOSTILE, strict=True):
        short = token if len(token) <= LONGEST_LABEL else f"{token[: LONGEST_LABEL - 1]}…"
        assert label == visible(short)
    block = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert not set(block) & set("<>&")


def test_a_title_is_never_markup():
    maps = AttentionMaps((), "</title><script>alert(1)</script>\x00", {})
    found = Elements(page(maps))
    assert found.text["title"] == "</title><script>alert(1)</script>␀"
    assert [attributes["type"] for tag, attributes in found.found if tag == "script"] == [
        "application/json",
        "module",
    ]


def test_only_its_own_style_and_script_are_allowed():
    found = Elements(page(language_model()))
    (policy,) = [
        attributes["content"]
        for tag, attributes in found.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))

    def named(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert directives == {
        "default-src": "'none'",
        "script-src": named(found.text["module"]),
        "style-src": named(found.text["style"]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_names_no_address():
    text = page(translation(), language_model())
    assert not re.search(r"://|url\(|@import|import\(|fetch\(|XMLHttpRequest|sourceMapping", text)
    assert all("src" not in attributes for _, attributes in Elements(text).found)


def test_no_source_ends_its_element():
    for source in (each for web in WEBS.values() for each in web.rglob("*.*")):
        if not source.name.endswith(".html"):
            text = source.read_text(encoding="utf-8")
            assert not re.search(r"</(script|style)|<!--|\r", text, re.IGNORECASE), source.name


def test_every_source_is_used_and_installed():
    scripts = {f"{name}.js" for name in page_module.SCRIPTS}
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package, used in {
        "minitx.drawing": {"page.html", "paper.css"},
        "minitx.inspection": {
            "attention.html",
            "attention.css",
            "explain.html",
            "explain.css",
            "explain/playground.html",
            "explain/playground.css",
            *scripts,
            *tables_html.SCRIPTS,
        },
        "minitx.study.report": {"report.css", "report.md"},
    }.items():
        web = WEBS[package]
        names = {str(source.relative_to(web)) for source in web.rglob("*.*")}
        assert names == used
        patterns = settings["package-data"][package]
        assert all(any(fnmatch(f"web/{name}", pattern) for pattern in patterns) for name in names)


def test_the_same_maps_give_the_same_page():
    assert page(translation()) == page(translation())


def test_a_page_of_twelve_layers_of_twelve_heads_is_small_enough():
    """The steps of the training take little more room in the page than in their file."""
    assert len(page(encoder(12, 12, words(128))).encode()) + 1.1 * MOST_CHARACTERS < 10e6


def test_the_steps_of_the_training_are_in_the_page(tmp_path):
    path, maps = tmp_path / "history.json", translation(OUTPUT, ("\n", " a", "<b>"))
    for step in (5, 10):
        add_frame(path, maps, step)
    found = Findings(history=tuple(read_history(path)))
    text = page(dataclasses.replace(maps, findings=found))
    (run,) = data_of(text)
    assert [kept["step"] for kept in run["training"]] == [5, 10]
    for kept in run["training"]:
        layers = layers_of(kept)
        assert list(layers) == [each.name for each in maps.maps]
        for each in maps.maps:
            layer = layers[each.name]
            assert layer["queries"] == list(map(visible, each.queries))
            assert layer["measured"] == measured_heads(each)
            shown = unpack(layer, len(each.heads), len(each.queries), len(each.keys))
            np.testing.assert_allclose(shown, each.weights, atol=0.004)
    added = len(text) - len(page(maps))
    assert added < 1.1 * path.stat().st_size + 3000  # and the words for each kind


def test_a_frame_holds_the_page_and_gives_it_no_rights():
    text = page(language_model(1, 1, HOSTILE))
    ((tag, attributes),) = Elements(frame(text)).found
    assert tag == "iframe"
    assert attributes["srcdoc"] == text
    assert attributes["sandbox"] == "allow-scripts"


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("word", "word"),
        (" two words ", "␣two␣words␣"),
        ("\r\n\t", "␍⏎⇥"),
        ("\x1b\x7f", "␛␡"),
        ("\x85", "‹U+0085›"),
        ("\u00a0\u3000", "‹U+00A0›‹U+3000›"),
        ("\u2028\u2029", "‹U+2028›‹U+2029›"),
        ("\u202eabc", "‹U+202E›abc"),
        ("\u200d", "‹U+200D›"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("\ud800", "‹U+D800›"),
        ("", "∅"),
        ("中文", "中文"),
    ],
)
def test_an_invisible_character_has_a_visible_substitute(token, shown):
    assert visible(token) == shown


def test_a_text_keeps_its_blanks_where_they_are_asked_for():
    assert visible("a b\nc\td", blanks=" \n") == "a b\nc⇥d"


@given(st.text(st.characters()))
def test_no_label_turns_writing_around_or_breaks_a_line(text):
    shown = visible(text)
    assert len(shown.splitlines()) == 1
    turning = "[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
    assert not re.search(turning, shown)
