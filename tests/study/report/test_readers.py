"""Test what a report does for its readers: figures, contents, headings and models in words."""

import re
from dataclasses import replace
from itertools import chain
from xml.etree import ElementTree

import pytest
from browsers import needs_browser
from made_results import failing, made

from minitx.drawing.figures import svg
from minitx.metrics.bootstrap import Interval
from minitx.study.report.files import write_report
from minitx.study.report.inline import inline, name_marks
from minitx.study.report.markdown import markdown, slug
from minitx.study.report.page import page
from minitx.study.report.report import compose
from minitx.study.report.sections import SECTIONS
from minitx.study.report.style import draw_line, draw_point, finish, name_axes, panels, styles
from minitx.study.results.models import describe_models, describe_training

ARMS = {"transformer": 2.19, "lstm": 2.13, "gru": 2.2}
SEEDS = (1, 2, 3, 4, 5)
NAMES = ["lstm", "</title><script>&"]


@pytest.fixture(scope="module")
def results():
    return made(ARMS, seeds=SEEDS)


def drawing():
    """A figure with a line, a point and a mark without a value."""
    figure, [axes] = panels()
    own = styles(NAMES)
    draw_line(axes, own["lstm"], [1, 2, 3], [Interval(0.5, 0.4, 0.6), 0.7, float("nan")])
    draw_point(axes, own[NAMES[1]], 2, 0.25, yerr=Interval(0.25, 0.1, 0.45))
    name_axes(axes, "steps", "accuracy")
    return finish(figure, "title", own)


def test_marks_show_their_values():
    assert list(name_marks(drawing()).values())[:2] == [
        ["lstm; steps: 1; accuracy: 0.5 (0.4 to 0.6)", "lstm; steps: 2; accuracy: 0.7"],
        [f"{NAMES[1]}; steps: 2; accuracy: 0.25 (0.1 to 0.45)"],
    ]


def test_a_figure_in_a_page_has_the_page_s_colours_and_no_style_of_its_own():
    figure = drawing()
    titles = name_marks(figure)
    found = inline(svg(figure), "quality", "How good", titles)
    assert "<script" not in found
    assert "style" not in re.sub(r"<title>.*?</title>", "", found)
    assert not re.search(r"#(000000|ffffff|595959|d0d0d0)", found)
    assert "var(--paper)" in found
    root = ElementTree.fromstring(found)
    spoken = [mark.text for mark in root.iter("title")]
    assert set(spoken) <= set(chain(*titles.values()))
    assert len(spoken) >= 3
    names = {each.get("id") for each in root.iter()} - {None}
    assert all(name.startswith("quality-") for name in names)
    for reference in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', found):
        assert "".join(reference) in names


def test_every_figure_fits_one_column(results):
    sections = compose(results).sections
    assert {section.figure.get_figwidth() for section in sections if section.figure} == {5.0}


def test_a_report_begins_with_one_sentence_and_a_ranked_figure(results):
    report = compose(results)
    text = markdown(report)
    answer = text[text.index("## The answer") : text.index("## Contents")].splitlines()
    assert answer[2].startswith("**lstm is better than transformer**: 2.1")
    assert answer[4] == "![How good they are](figures/quality.png)"
    [axes] = report.picture.figure.axes
    assert [each.get_text() for each in axes.get_yticklabels()] == ["lstm", "transformer", "gru"]


def test_higher_is_better_ranks_the_other_way_and_what_has_no_score_is_last():
    results = made({"a": 0.2, "b": 0.5, "c": 0.4}, measure="accuracy", seeds=SEEDS)
    results = failing(results, "b", SEEDS)
    [axes] = SECTIONS["quality"](results).figure.axes
    assert [each.get_text() for each in axes.get_yticklabels()] == ["c", "a", "b"]


def test_the_contents_lead_to_every_heading_in_both_forms(results):
    report = compose(results)
    text = markdown(report)
    html = page(report.title, text, {each.picture: "<svg/>" for each in report.sections})
    contents = re.findall(r"^- \[.*\]\(#(.+)\)$", text, re.MULTILINE)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    after = headings[headings.index("Contents") + 1 :]
    assert contents == [slug(heading.replace("\\", "")) for heading in after]
    assert re.findall(r'<h2 id="([^"]+)"', html)[-len(contents) :] == contents
    assert re.findall(r'<li><a href="#([^"]+)"', html) == contents


def test_headings_state_the_finding(results):
    assert compose(results).headings[:4] == [
        "How good they are: lstm has the lowest mean",
        "How they learn: lstm has the lowest mean after 384,000 tokens",
        "What they cost: gru trained fastest in these runs",
        "What tuning found: every best value is inside the sweep",
    ]
    two = made({"transformer": 2.19, "lstm": 2.13}, seeds=SEEDS)
    assert compose(two).headings[0] == "How good they are: lstm is better than transformer"
    quick = replace(two, preset="quick")
    assert "better than" not in compose(quick).headings[0]
    edge = made(ARMS, seeds=SEEDS, best_rate=0.02)
    assert (
        compose(edge).headings[3]
        == "What tuning found: 3 of 3 best values at the edge of the sweep"
    )


TRANSFORMER = {
    "model.name": "transformer",
    "model.mixer": "attention",
    "model.layers": 4,
    "model.dim": 128,
    "model.heads": 4,
    "model.position": "rotary",
}
TRAINING = {
    "optimizer.name": "adamw",
    "optimizer.lr": 0.001,
    "optimizer.schedule": "constant",
    "data.batch_size": 32,
    "model.context": 64,
    "trainer.max_steps": 3000,
}


def test_models_are_described_in_words(results):
    lstm = {"model.name": "lstm", "model.cell": "lstm", "model.layers": 1, "model.dim": 220}
    block = TRANSFORMER | {"model.mixer": "lstm", "model.dropout": 0.1}
    settings = {"transformer": TRANSFORMER, "lstm": lstm, "block": block}
    assert describe_models(replace(results, settings=settings)) == {
        "transformer": "Transformer, 4 layers of width 128, 4 heads, rotary positions",
        "lstm": "LSTM, 1 layer of width 220",
        "block": "Transformer with LSTM in place of attention, 4 layers of width 128, dropout 10%",
    }


def test_what_the_study_varies_is_not_described_as_fixed():
    grid = {"model.heads": [1, 4]}
    results = made({"transformer": lambda heads: 2.0}, grid=grid, seeds=SEEDS)
    words = describe_models(replace(results, settings={"transformer": TRANSFORMER}))
    assert words == {"transformer": "Transformer, 4 layers, rotary positions"}


def test_training_is_described_in_words(results):
    same = replace(results, settings={"a": TRAINING, "b": TRAINING})
    words = (
        "AdamW, learning rate 0.001, 32 sequences of 64 tokens per step, at most 3,000 steps, "
        "constant schedule"
    )
    assert describe_training(same) == {"training": words}
    other = TRAINING | {"data.batch_size": 64}
    apart = describe_training(replace(results, settings={"a": TRAINING, "b": other, "c": TRAINING}))
    assert list(apart) == ["training of a and c", "training of b"]
    assert "64 sequences of 64" in apart["training of b"]


@needs_browser
def test_the_keyboard_reaches_the_contents_and_the_tables(browser, results, tmp_path):
    write_report(results, tmp_path)
    opened = browser.new_page(viewport={"width": 390, "height": 800}, reduced_motion="reduce")
    opened.goto((tmp_path / "report.html").as_uri())
    opened.keyboard.press("Tab")
    assert (
        opened.evaluate("document.activeElement.hash") == f"#{slug(compose(results).headings[0])}"
    )
    opened.keyboard.press("Enter")
    assert opened.evaluate("scrollY") > 500
    assert opened.locator("h2:target").count() == 1
    for _ in range(20):
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    opened.keyboard.press("Enter")
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "scroll"
    assert opened.locator("figure svg use title").count() > 50
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert opened.evaluate(behaviour) == "auto"
    opened.close()


@needs_browser
def test_figures_are_readable_in_the_dark(browser, results, tmp_path):
    write_report(results, tmp_path)
    inks = {}
    for scheme in ("light", "dark"):
        opened = browser.new_page(color_scheme=scheme)
        opened.goto((tmp_path / "report.html").as_uri())
        inks[scheme] = opened.evaluate(
            "getComputedStyle(document.querySelector('figure svg')).fill"
        )
        opened.close()
    assert inks == {"light": "rgb(27, 32, 39)", "dark": "rgb(229, 233, 238)"}
