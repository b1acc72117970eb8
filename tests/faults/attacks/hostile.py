"""What an attacker would put into files, as values, pickles and texts."""

import builtins
import io
import json
import os
import pathlib
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import torch

OLD = Path(__file__).resolve().parents[2] / "old_runs"
EXPECTED = "no code, no file elsewhere, no connection, little memory; harmless or one line"
HUGE = 10**12
NOWHERE = "http://127.0.0.1:9/x"
SECRET = "the-secret-of-this-machine"


class Call:
    """A pickle of it calls a function when it is opened."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def calls(path):
    """What an attacker's code would do, by name."""
    path = str(path)
    return {
        "os.mkdir": Call(os.mkdir, path),
        "os.system": Call(os.system, f"touch {path}"),
        "subprocess": Call(subprocess.call, ["touch", path]),
        "exec": Call(exec, f"open({path!r}, 'w')"),
        "eval": Call(eval, f"open({path!r}, 'w')"),
        "open": Call(builtins.open, path, "w"),
        "touch": Call(pathlib.Path.touch, pathlib.Path(path)),
        "np.save": Call(np.save, path, np.zeros(1)),
        "torch.save": Call(torch.save, 1, path),
        "torch.load": Call(torch.load, path),
        "urlopen": Call(urllib.request.urlopen, NOWHERE),
        "getattr": Call(getattr, "", "join"),
        "big": Call(bytearray, 10**15),
    }


def old_checkpoint():
    return torch.load(OLD / "language_modeling/checkpoints/last.ckpt", weights_only=True)


def saved(value, **settings):
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()


def hostile_models():
    """Configs of a checkpoint that ask for more than there is, by the values they change."""
    huge = {"dim": 10**9, "layers": 10**9, "context": HUGE, "heads": 10**9, "ff_dim": HUGE}
    return [{name: value} for name, value in huge.items()] + [
        {"dim": 1_000_000, "ff_dim": 10_000_000},
        {"context": 100_000_000, "dim": 100_000},
        {"layers": 10, "dim": 1_000_000},
        {"name": "lstm", "cell": "lstm", "dim": 1_000_000},
    ]


def nested(depth):
    """A value that is short in a file and has 2 ** depth parts."""
    value = {"a": 1}
    for _ in range(depth):
        value = {"a": value, "b": value}
    return value


def deep(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def hostile_tokenizers(text):
    """Tokenizers that are slow, or multiply or pad a text, by what they do."""
    plain = json.loads(text)

    def pattern(regex):
        return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated"} | {
            "invert": False
        }

    def replaces(times):
        each = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
        return {"type": "Sequence", "normalizers": [each] * times}

    padded = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None}
    padded |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    nothing = {"vocab": {}, "merges": []}
    last = {name: HUGE // 1000 + number for number, name in enumerate(plain["model"]["vocab"])}
    return {
        "slow pattern": plain | {"pre_tokenizer": pattern("(a+)+$")},
        "long pattern": plain | {"pre_tokenizer": pattern("(a|b)?" * 50_000)},
        "deep pattern": plain | {"pre_tokenizer": pattern("(" * 5000 + ")" * 5000)},
        "broken pattern": plain | {"pre_tokenizer": pattern("(")},
        "replacements": plain | {"normalizer": replaces(20)},
        "padding": plain | {"padding": padded},
        "high ids": plain | {"model": plain["model"] | {"vocab": last}},
        "no ids": plain | {"model": plain["model"] | {"vocab": {}}},
        "random merges": plain | {"model": {"type": "BPE", "dropout": 0.5} | nothing},
        "no object": [plain],
        "deep": deep(500),
    }


def yaml_files(sprung):
    """The texts of hostile YAML files, by what they do."""
    twice = (f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    bomb = "a0: &a0 [x, x]\n" + "".join(twice)
    return {
        "apply": f"!!python/object/apply:os.mkdir ['{sprung}']",
        "apply in a key": f"run: !!python/object/apply:os.system ['touch {sprung}']",
        "new": f"!!python/object/new:os.mkdir ['{sprung}']",
        "name": "x: !!python/name:os.system",
        "module": "x: !!python/module:os",
        "bomb": bomb,
        "itself": "model: &a {name: transformer, x: *a}",
        "itself in a list": "model: &a [*a]",
        "deep": "[" * 20_000,
        "binary": "\x00\x01",
        "date": "seed: 2001-99-99",
        "empty": "",
        "target": f"model: {{name: transformer, _target_: os.mkdir, path: {sprung}}}",
        "targets": f"_target_: os.mkdir\n_args_: ['{sprung}']",
    }
