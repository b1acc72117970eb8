"""Read data that an attacker wrote, and make pages of such texts."""

import gzip
from html.parser import HTMLParser

import numpy as np
import torch
from hostile import EXPECTED, NOWHERE

from minitx.config.compose import compose
from minitx.data import lines
from minitx.data.corpora import records
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.page import page as inspection_page
from minitx.inspection.weights import AttentionMap
from minitx.study.report.markdown import _escape
from minitx.study.report.page import page as report_page
from minitx.tasks.open import open_task


def test_data(attack, tally, tmp_path, monkeypatch):
    row = tally("data of an attacker", EXPECTED)
    monkeypatch.setattr(lines, "LONGEST_LINE", 10**6)
    long = tmp_path / "long.tsv.gz"
    with gzip.open(long, "wb", 1) as file:
        file.write(bytes(3 * 10**6))
    files = {"long": long}
    for name, text in {
        "deep": "[" * 100_000,
        "long number": '{"source": ' + "9" * 100_000 + ', "target": "x"}',
        "half a pair": '{"source": "\\ud800", "target": "x"}',
        "infinite": '{"source": NaN, "target": "x"}',
        "objects": '{"source": {"__class__": "x"}, "target": "x"}',
    }.items():
        files[name] = tmp_path / f"{name}.jsonl"
        files[name].write_text(text + "\n", encoding="utf-8")
    for name, path in files.items():
        attack(row, name, _read, path)
    for task in ("text", "pairs", "labels"):
        config = compose(f"task={task}")
        for place in (NOWHERE, "s3://x/y", "hf://x/y", "file:///etc/passwd", "pkg://x", "|touch x"):
            config.data.path = place
            attack(row, f"{task}, {place}", open_task, config)


def _read(path):
    return list(records.RecordFile(path, ("source", "target")))


FRAGMENTS = (
    *("<script>", "</script>", "<img src=http://127.0.0.1:9/x onerror=alert(1)>", "<!--", "-->"),
    *("<iframe src=//x>", '" onload="alert(1)', "' style='x:url(http://x)", "]]>", "&lt;b&gt;"),
    *("![x](http://127.0.0.1:9/x.png)", "[x](javascript:alert(1))", "<svg/onload=alert(1)>"),
    *("{{ 7 * 7 }}", "{% include '/etc/passwd' %}", "${jndi:ldap://x}", "</title>", "</style>"),
    *("`", "|", "\n", "\n# x\n", "\\", "\x00", "\u2028", "\u202e", "&#60;", "http://127.0.0.1:9/x"),
)
ALLOWED = {"href": ("data:", "#"), "src": ("data:",)}


class Markup(HTMLParser):
    """What a browser could act on: scripts, addresses, styles and handlers of events."""

    def __init__(self, text):
        super().__init__()
        self.active, self.scripts, self.policy = [], 0, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        if tag in ("iframe", "object", "embed", "base", "form", "frame", "applet"):
            self.active.append(tag)
        for name, value in attributes:
            refused = name in ALLOWED and not (value or "").startswith(ALLOWED[name])
            if name.startswith("on") or name in ("style", "srcset", "action", "data") or refused:
                self.active.append(f"{tag} {name}={value}")
        if ("http-equiv", "Content-Security-Policy") in attributes:
            self.policy = dict(attributes)["content"]


def made_maps(tokens, title):
    weights = torch.full((1, len(tokens), len(tokens)), 1 / len(tokens))
    layer = AttentionMap("decoder.layers.0.self", weights, tokens, tokens, (0,))
    return AttentionMaps((layer,), title, {"text": title, "output": title})


def test_pages(attack, tally, trials, tmp_path):
    """What a browser loads from a page depends on no text in it."""
    row = tally("text of an attacker in a page", EXPECTED)
    plain = Markup(inspection_page(made_maps(("a", "b"), "c")))
    draw = np.random.default_rng(0)
    for number in trials(fast=10, full=200):
        tokens = tuple("".join(draw.choice(FRAGMENTS, 3)) for _ in range(3))
        title = "".join(draw.choice(FRAGMENTS, 4))
        maps, text = made_maps(tokens, title), f"# {_escape(title)}\n\n{_escape(tokens[0])}\n"
        inert = _inert(plain.scripts)
        attack(row, f"inspection {number}", _markup, inspection_page, maps, harmless=inert)
        report = report_page, title, text, {}
        attack(row, f"report {number}", _markup, *report, harmless=_inert(scripts=0))


def _markup(make, *arguments):
    return Markup(make(*arguments))


def _inert(scripts):
    return lambda found: (
        not found.active
        and found.scripts == scripts
        and found.policy.startswith("default-src 'none'")
        and "http" not in found.policy
        and "unsafe" not in found.policy
    )
