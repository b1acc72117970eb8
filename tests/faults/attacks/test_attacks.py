"""Open checkpoints and tokenizers that an attacker wrote.

In all tests of this folder, nothing in a file is executed, no file is written elsewhere, no
connection is made, no secret of the environment is read, and little memory is taken. What is not
harmless is refused in one line. They cover every format that minitx reads from somebody else.
"""

import copy
import io
import json
import pickle
import zipfile

import torch
from hostile import (
    EXPECTED,
    OLD,
    SECRET,
    calls,
    deep,
    hostile_models,
    hostile_tokenizers,
    nested,
    old_checkpoint,
    saved,
)

from minitx.config.compose import to_plain
from minitx.data.tokenizers.sequence import SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.runs.run import StoredRun

PLACES = {
    "alone": lambda call: call,
    "a weight": lambda call: _with(call, "state_dict", "x"),
    "the config": lambda call: _with(call, "hyper_parameters", "config"),
    "a callback": lambda call: _with(call, "callbacks", "Clock"),
    "another key": lambda call: old_checkpoint() | {"pytorch-lightning_version": call},
}


def _with(value, group, name):
    found = old_checkpoint()
    found[group][name] = value
    return found


def rezipped(content, **changes):
    """An archive with all parts of another, whose entries are as `changes` say."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", **changes) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    return file.getvalue()


def overlapping(content):
    """An archive that names one part very often."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        part = max(archive.infolist(), key=lambda part: part.file_size)
        for number in range(100):
            again = copy.copy(part)
            again.filename = f"again/{number}"
            archive.filelist.append(again)
        archive._didModify = True
    return file.getvalue()


def test_pickles_in_checkpoints(attack, guard, tally, trials, tmp_path):
    row = tally("checkpoint of an attacker", EXPECTED)
    file = tmp_path / "evil.ckpt"
    cases = [
        (f"{name}, {place}, {form}", call, make, form)
        for name, call in calls(guard.sprung).items()
        for place, make in PLACES.items()
        for form in ("zip", "legacy", "pickle")
    ]
    for number in trials(fast=40, full=len(cases)):
        name, call, make, form = cases[number * 7 % len(cases)]  # 7 is no factor of their number
        if form == "pickle":
            file.write_bytes(pickle.dumps(make(call)))
        else:
            file.write_bytes(saved(make(call), _use_new_zipfile_serialization=form == "zip"))
        attack(row, name, StoredRun.open, file)


def test_checkpoints_of_plain_values(attack, guard, tally, tmp_path):
    row = tally("checkpoint of an attacker", EXPECTED)
    file = tmp_path / "evil.ckpt"

    def opened(name, content, harmless=None):
        file.write_bytes(content)
        attack(row, name, StoredRun.open, file, harmless=harmless)

    for changes in hostile_models():
        found = old_checkpoint()
        found["hyper_parameters"]["config"]["model"] |= changes
        opened(f"model {changes}", saved(found))
    wide = torch.zeros(1).expand(1_000_000, 1_000_000)
    found = old_checkpoint()
    found["state_dict"] = dict.fromkeys(found["state_dict"], wide)
    opened("weights that repeat one number", saved(found))
    for name, value in {
        "2**60 values": nested(60),
        "deep": deep(100),
        "a number": 1,
        "a tensor": torch.zeros(2),
    }.items():
        for place in ("model", "data", "x"):
            found = old_checkpoint()
            found["hyper_parameters"]["config"][place] = value
            opened(f"config.{place} is {name}", saved(found))
    cycle = old_checkpoint()
    cycle["hyper_parameters"]["config"]["data"] = cycle["hyper_parameters"]["config"]
    opened("a config within itself", saved(cycle))
    whole = saved(old_checkpoint())
    opened("compressed", rezipped(whole, compression=zipfile.ZIP_DEFLATED))
    opened("one part very often", overlapping(whole))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../sprung", "x")
    opened("names that lead out", file.read_bytes())
    kept = io.BytesIO(whole)
    with zipfile.ZipFile(kept, "a") as archive:
        archive.writestr(str(guard.sprung), "x")
        archive.writestr("../../../sprung", "x")
    opened("more names that lead out", kept.getvalue(), lambda run: run.step == 10)
    secret = old_checkpoint()
    for group, key in (("run", "dir"), ("data", "path"), ("logger", "project")):
        secret["hyper_parameters"]["config"][group][key] = "${oc.env:MINITX_SECRET}"
    opened("a secret", saved(secret), lambda run: SECRET not in str(to_plain(run.config)))


def test_tokenizers(attack, tally):
    row = tally("tokenizer of an attacker", EXPECTED)
    for kind, file in (
        (Tokenizer, OLD / "language_modeling/tokenizer.json"),
        (SequenceTokenizer, OLD / "classification/tokenizer.json"),
    ):
        for name, values in hostile_tokenizers(file.read_text(encoding="utf-8")).items():
            text = json.dumps(values)
            attack(row, f"{kind.__name__}, {name}", kind.from_json, text)
