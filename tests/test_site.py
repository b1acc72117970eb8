"""Test the pages of the site that are made from lessons, commands and typed keys."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from minitx.commands.help import all_keys
from minitx.commands.table import COMMANDS
from minitx.config.schema import CompareConfig

DOCS = Path(__file__).parents[1] / "docs"
hooks = runpy.run_path(str(DOCS / "site_hooks.py"))


def test_the_configuration_has_every_key_once_with_its_values():
    page = hooks["configuration_page"]()
    keys = [name for name, field in all_keys(CompareConfig) if "help" in field.metadata]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE))
    groups = re.findall(r"^### ([\w.]+):", page, re.MULTILINE)
    assert sorted([*rows, *groups]) == sorted(keys)
    assert rows["model.norm"].startswith("`rmsnorm` | `layernorm`, `rmsnorm` | kind of norm")
    assert "(model=lstm, gru, rnn)" in rows["model.cell"]
    assert "above 0, below 0.5" in rows["data.val_fraction"]
    assert "\\[model.context / 8\\]" in rows["task.pairs"]  # else it may become a link
    study = page.partition("### study: ")[2].partition("###")[0]
    assert "| `study.dir` |" in study  # not in the table of its last group
    assert "`model=lstm`" in page
    assert "`study=heads`" in page


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_page(name):
    page = hooks["how_to_page"](COMMANDS[name])
    assert page.startswith(f"# {name}\n\n{COMMANDS[name].summary}\n")
    assert f"minitx {name}" in page
    if COMMANDS[name].schema is not None and COMMANDS[name].config is None:
        for key, field in all_keys(COMMANDS[name].schema):
            assert f"| `{key}` |" in page or f"### {key}: {field.metadata['help']}" in page


def test_a_lesson_shows_its_outputs():
    name = "6_reading_heads"
    pages = hooks["lesson_pages"](DOCS / "lessons" / f"{name}.ipynb")
    (picture,) = [page for page in pages if page.endswith(".png")]
    assert pages[picture].startswith(b"\x89PNG")
    page = pages[f"lessons/{name}.md"]
    title, link, question = hooks["TRANSLATION"].sub(r"\2\n\n\1\n", page).split("\n\n")[:3]
    assert title == "# Reading heads"
    assert link == f"[简体中文]({name}.zh-CN.ipynb)"
    assert question.startswith("**Question.**")
    assert f"]({Path(picture).name})" in page
    assert "````{ .text .output }\nzebra zebra zebra\n````" in page
    assert "<div><iframe" in page


@pytest.mark.parametrize(
    ("html", "address"),
    [
        ('<script async src="https://a.example/x.js"></script>', "https://a.example/x.js"),
        ('<link href="//a.example/font.css" rel="stylesheet">', "//a.example/font.css"),
        ("<IMG alt=x src=http://a.example/x.png>", "http://a.example/x.png"),
        ('<link rel="canonical" href="https://a.example/">', None),
        ('<a href="https://a.example/">read</a> <img src="../x.png">', None),
    ],
)
def test_a_page_that_loads_from_elsewhere_fails_a_strict_build(html, address, monkeypatch):
    """The build is strict about warnings."""
    found = []
    log = SimpleNamespace(warning=lambda words, page, address: found.append(address))
    monkeypatch.setitem(hooks["on_post_page"].__globals__, "log", log)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    assert hooks["on_post_page"](html, page, None) == html
    assert found == ([] if address is None else [address])


def test_a_diagram_becomes_a_table():
    architecture = (DOCS / "architecture.md").read_text(encoding="utf-8")
    boxes = hooks["BOX"].findall(architecture)
    assert ("nn/", "pure torch: attention, recurrences, blocks") in boxes
    assert len(boxes) == architecture.count("<b>")
    page = hooks["MERMAID"].sub(hooks["_diagram"], architecture)
    assert "mermaid" not in page
    assert "\n| nn/ | pure torch: attention, recurrences, blocks |\n" in page


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("commands.md", "[data](../data/README.md#own-files)", "[data](data.md#own-files)"),
        ("data.md", "[studies](../docs/studies.md)", "[studies](studies.md)"),
        ("index.md", "[6](lessons/6_reading_heads.ipynb)", "[6](lessons/6_reading_heads.md)"),
        ("how-to/train.md", "[data](../../data/README.md)", "[data](../data.md)"),
        ("contributing.md", "[reports](docs/studies)", "[reports](studies/README.md)"),
        ("commands.md", "[conf/](../conf)", "conf/"),
        ("commands.md", "[Hydra](https://hydra.cc)", "[Hydra](https://hydra.cc)"),
        ("studies.md", "[below](#statistics)", "[below](#statistics)"),
    ],
)
def test_links_lead_to_pages_of_the_site(page, link, expected):
    assert hooks["with_links"](f"See {link}.", page) == f"See {expected}."
