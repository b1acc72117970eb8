"""Read the evidence of a report that an attacker made: archives, and values in their files."""

import copy
import io
import json
import random
import shutil
import zipfile

import pytest
import yaml
from hostile import EXPECTED, HUGE, OLD, SECRET

from minitx.study.plan.manifest import EVIDENCE
from minitx.study.report import files
from minitx.study.report.files import write_report
from minitx.study.results import evidence
from minitx.study.results.collecting import open_study
from minitx.study.results.evidence import write_evidence

VALUES = (None, 5, -1, 0, 1.5, True, "x", "", [], {}, [1], [[]], [None], {"a": 1}, 10**30)
VALUES += (float("nan"), float("inf"), "../../x", "${oc.env:MINITX_SECRET}", "<script>", "a|b\n# c")
CELLS = ("", "x", "-1", "nan", "inf", "1e999", '"', "9" * 40, "a,b")


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder for evidence alone, and the files that its archive should hold."""
    monkeypatch.setattr(files, "png", lambda figure: b"")
    monkeypatch.setattr(files, "svg", lambda figure: "<svg/>")
    study, folder = shutil.copytree(OLD / "study", tmp_path / "study"), tmp_path / "alone"
    folder.mkdir()
    write_evidence(study, study / "store")
    with zipfile.ZipFile(study / EVIDENCE) as archive:
        return folder, {name: archive.read(name) for name in archive.namelist()}


def archive(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return file.getvalue()


def reported(folder):
    """What a report of the evidence says."""
    write_report(open_study(folder), folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def without_secret(text):
    return SECRET not in text


def test_archives(attack, alone, tally, guard, monkeypatch):
    row = tally("evidence of an attacker", EXPECTED)
    monkeypatch.setattr(evidence, "MOST_BYTES", 10**7)
    folder, parts = alone
    whole = archive(parts)
    directory = whole.index(b"PK\x01\x02")

    def patched(offset, value):
        return whole[: directory + offset] + value + whole[directory + offset + len(value) :]

    many_zeros = {f"{number}": bytes(5 * 10**6) for number in range(3)}
    for name, content in {
        "names that lead out": archive({"../../elsewhere/x": "x", "/elsewhere/y": "x"} | parts),
        "names that replace": archive(parts | {"../alone/evidence.zip": "x", "..": "x"}),
        "a folder instead of a file": archive(parts | {"study.json/x": "x"}),
        "a long name": archive(parts | {"n" * 300: "x"}),
        "a deep folder": archive(parts | {"n/" * 2000: "x"}),
        "a name of two lines": archive(parts | {"a\nb" * 100: "x"}),
        "a zero in a name": archive(parts | {"a\0b": "x"}),
        "nothing": archive({}),
        "many zeros": archive(parts | many_zeros),
        "encrypted": patched(8, b"\1\0"),
        "unknown compression": patched(10, b"\x63\0"),
        "a size that is too small": patched(24, b"\5\0\0\0"),
        "a size that is too large": patched(24, b"\0\0\0\1"),
        "an offset beyond the end": patched(42, b"\xff\xff\xff\x7f"),
        "a script before it": b"#!/bin/sh\n" + whole,
        "itself in itself": archive(parts | {EVIDENCE: whole}),
    }.items():
        (folder / EVIDENCE).write_bytes(content)
        attack(row, name, reported, folder, harmless=without_secret)
        assert sorted(path.name for path in folder.parent.iterdir()) == [
            *("alone", "elsewhere", "study")
        ]


def test_values(attack, alone, tally, trials):
    """One value of one file is another, and nothing has a checksum."""
    row = tally("evidence of an attacker", EXPECTED)
    folder, parts = alone
    parts = {name: content for name, content in parts.items() if not name.endswith(".crc32")}
    plain = {name: _plain(name, content) for name, content in parts.items()}
    unsealed = {name: _text(name, value) for name, value in plain.items()}
    names = sorted(name for name in plain if not name.endswith(".npz"))
    for seed in trials(fast=20, full=240):
        draw = random.Random(seed)
        name = draw.choice(names)
        value, what = _changed(plain[name], draw)
        (folder / EVIDENCE).write_bytes(archive(unsealed | {name: _text(name, value)}))
        attack(row, f"{seed}: {name}, {what}", reported, folder, harmless=without_secret)


def _plain(name, content):
    """The values of a file, without a checksum: those of a table are cells."""
    if name.endswith(".json"):
        values = json.loads(content)
        return {key: value for key, value in values.items() if key not in ("crc32", "files")}
    if name.endswith(".yaml"):
        return yaml.safe_load(content)
    if name.endswith(".csv"):
        return [line.split(",") for line in content.decode().splitlines()]
    return content


def _text(name, value):
    if name.endswith(".json"):
        return json.dumps(value)
    if name.endswith(".yaml"):
        return yaml.safe_dump(value, sort_keys=False)
    return "\n".join(map(",".join, value)) if name.endswith(".csv") else value


def _changed(value, draw):
    """A copy of a value in which a part is another, or is missing, and what was changed."""
    value = copy.deepcopy(value)
    table = isinstance(value, list)
    while True:
        holder, key = draw.choice(list(_places(value)))
        if table and holder is value:
            continue  # a whole line is none of the cells
        if isinstance(holder, dict) and draw.random() < 0.25:
            del holder[key]
            return value, f"no {key}"
        holder[key] = draw.choice(CELLS if table else (*VALUES, HUGE))
        return value, f"{key}: {holder[key]!r}"


def _places(value):
    """Yield every place of a value within another: what holds it, and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
