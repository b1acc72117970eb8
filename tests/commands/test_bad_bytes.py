"""Test that text which is not UTF-8 gives an error of one line in every command that takes text.

Python passes such bytes of a command line on as halves of surrogate pairs.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_bad_input import refuses

import minitx
from minitx.commands.table import COMMANDS
from minitx.errors import UserError

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "old_runs"
TEXT, PAIRS = f"run={OLD / 'language_modeling'}", f"run={OLD / 'sequence_to_sequence'}"
LABELS = f"run={OLD / 'classification'}"
BAD = "caf\udce9"  # é of Latin-1

# (script, run, key): every key that takes text.
TEXTS = [
    ("generate", TEXT, "prompt"),
    ("translate", PAIRS, "text"),
    ("predict", LABELS, "text"),
    ("inspect_attention", TEXT, "text"),
    ("inspect_attention", PAIRS, "text"),
    ("inspect_attention", LABELS, "target"),
    ("explain", TEXT, "text"),
    ("explain", PAIRS, "text"),
    ("export", TEXT, "push"),
]


def test_every_key_that_takes_text_is_tried():
    tried = {(script, key) for script, _, key in TEXTS}
    keys = {(c.script or c.name, key) for c in COMMANDS.values() for key in c.texts}
    assert tried == keys


@pytest.mark.parametrize(("name", "run", "key"), TEXTS)
def test_a_text_that_is_not_utf8_is_refused(name, run, key, script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = [f"the {key}= is not Unicode from character 3 on", "UTF-8"]
    refuses(script, tmp_path, name, [run, f"{key}={BAD}"], said)


def test_other_keys_are_refused_too(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for key in ("logger.project", "model.heads", "task"):
        refuses(script, tmp_path, "train", [*tiny, f"{key}={BAD}"], [f"the {key}= is not Unicode"])


def test_a_process_gets_the_bytes_themselves(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "generate.py", TEXT, b"prompt=caf\xe9"]
    answer = subprocess.run(
        [os.fsencode(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (1, "", 1)
    assert answer.stderr.startswith("error: the prompt= is not Unicode from character 3 on")


@pytest.mark.parametrize("name", ["text", "pairs", "labels"])
def test_a_file_may_have_any_name(name, script, tiny, tmp_path, monkeypatch):
    """Its name is bytes to the system."""
    monkeypatch.chdir(tmp_path)
    kind = {"text": ("play.txt", "txt"), "pairs": ("pairs.tsv", "tsv")}
    source, suffix = kind.get(name, ("labels.jsonl", "jsonl"))
    Path(f"{BAD}.{suffix}").write_bytes((OLD / source).read_bytes())
    own = ["task=" + name, f"data.path={BAD}.{suffix}", "trainer.max_steps=2"]
    if name != "text":
        own += ["data.batch_size=null", "data.batch_tokens=200", "data.tokenizer=word"]
    answer = script("train", *tiny, *own, "model.context=24", f"run.dir={name}")
    assert answer.status == 0, answer.err
    evaluated = script("evaluate", f"run={name}", "split=test")
    assert evaluated.status == 0, evaluated.err


def test_the_python_api_refuses_it_too():
    run = minitx.load(OLD / "sequence_to_sequence")
    calls = [
        lambda: minitx.load(OLD / "language_modeling").generate(BAD),
        lambda: run.translate(["1 7", BAD]),
        lambda: minitx.load(OLD / "classification").predict(BAD),
        lambda: minitx.attention(run, BAD),
        lambda: minitx.attention(run, "1 7", output=BAD),
    ]
    for call in calls:
        with pytest.raises(UserError, match=r"^the \w+ is not Unicode from character 3 on"):
            call()


YAML = {
    "not UTF-8": (b'logger: {project: "caf\xe9"}\n', "it is not UTF-8"),
    "a tab": (b"logger:\n\tproject: a\n", "cannot start any token"),
    "a control character": (b"logger: {project: \x07}\n", "special characters are not allowed"),
    "no end": (b"logger: {project: [a\n", "expected ',' or ']'"),
}


@pytest.mark.parametrize("case", YAML)
def test_a_config_that_cannot_be_read_is_an_error(case, script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, said = YAML[case]
    Path("own", "experiment").mkdir(parents=True)
    Path("own", "experiment", "mine.yaml").write_bytes(b"# @package _global_\n" + data)
    words = [f"--config-dir={tmp_path / 'own'}", *tiny, "experiment=mine"]
    file = f"{tmp_path / 'own' / 'experiment' / 'mine.yaml'} cannot be read: "
    refuses(script, tmp_path, "train", words, [file, said])
