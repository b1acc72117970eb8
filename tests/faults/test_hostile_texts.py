"""Give hostile texts to everything that takes text: it answers, or refuses in one line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_corpora import SMALL, labelled_texts, number_pairs, write_jsonl, write_tsv
from hostile_texts import hostile

ROOT = Path(__file__).resolve().parents[2]
TOKENIZERS = {
    "text": ("char", "byte", "bpe"),
    "pairs": ("char", "word", "bpe"),
    "labels": ("char", "word", "bpe"),
}
PROCESSES = 7  # of a full campaign, texts that are also given to commands, three each
LIMIT = 300  # seconds
ARGUMENT = 2**17 - 100  # bytes; Linux takes no longer argument


@pytest.fixture(scope="module")
def runs(train, text_file, tmp_path_factory):
    """Returns a trained run's folder by objective and tokenizer."""
    folder = tmp_path_factory.mktemp("runs")
    pairs = write_tsv(folder / "pairs.tsv", number_pairs(200))
    labels = write_jsonl(folder / "labels.jsonl", labelled_texts(200))
    corpora = {
        "text": [f"data.path={text_file}"],
        "pairs": [*SMALL, "task=pairs", f"data.path={pairs}", "data.batch_tokens=500"],
        "labels": [*SMALL, "task=labels", f"data.path={labels}", "data.batch_tokens=500"],
    }
    trained = {}

    def run(task, tokenizer):
        if (task, tokenizer) not in trained:
            trained[task, tokenizer] = train(
                *(*corpora[task], f"data.tokenizer={tokenizer}", "data.vocab_size=300"),
                *("model.context=64", "trainer.max_steps=2", "logger=none"),
            ).folder
        return trained[task, tokenizer]

    return run


@pytest.fixture
def ask(script):
    """Runs a script, in this process or in another, and checks that it answered or said why not.

    Returns what it printed, or None if it refused.
    """

    def ask(name, *words, as_process=False):
        if as_process:
            done = subprocess.run(
                [sys.executable, ROOT / "scripts" / f"{name}.py", *words],
                capture_output=True,
                check=False,
                timeout=LIMIT,
            )
            status, out, err = done.returncode, done.stdout.decode(), done.stderr.decode()
        else:
            status, out, err = script(name, *words)
        assert "Traceback" not in err, err[-2000:]
        if status == 0:
            return out
        lines = [line for line in err.split("\n") if line.startswith("error: ")]
        others = [
            line
            for line in err.split("\n")
            if line and not line.startswith(("error: ", "note: ", "loading "))
        ]
        assert (status, len(lines), others) == (1, 1, []), err[-2000:]
        return None

    return ask


def test_commands_answer_hostile_texts(ask, runs, tally, trials, tmp_path, monkeypatch):
    row = tally("hostile texts to every command", "an answer, or one line")
    for seed in trials(fast=2, full=500):
        text = hostile(seed)
        with row.trial(f"seed {seed}: {text[:40]!r}"):
            for number, (task, command) in enumerate(COMMANDS.items()):
                run = runs(task, TOKENIZERS[task][(seed + number) % 3])
                for name, words in command(seed, text, tmp_path / f"{seed}{task}", monkeypatch):
                    check(ask(name, f"run={run}", *words), name, words)


def test_commands_answer_hostile_texts_as_processes(ask, runs, tally, trials, tmp_path):
    row = tally("hostile texts to every command, as processes", "an answer, or one line")
    names = {"text": ("generate", "prompt"), "pairs": ("translate", "text")}
    names["labels"] = ("predict", "text")
    for seed in trials(fast=0, full=PROCESSES):
        text = hostile(1000 + seed).replace("\0", " ")  # as an argument, it would end there
        argument = os.fsdecode(
            text.encode("utf-8", "surrogateescape" if _bytes(text) else "replace")
        )
        while len(os.fsencode(argument)) > ARGUMENT:
            argument = argument[: len(argument) // 2]
        for task, (name, key) in names.items():
            with row.trial(f"seed {1000 + seed}, {name}: {text[:40]!r}"):
                run = runs(task, TOKENIZERS[task][seed % 3])
                check(
                    ask(name, f"run={run}", f"{key}={argument}", as_process=True),
                    name,
                    [f"{key}={argument}"],
                )


def test_hostile_texts_are_trained_on(ask, script, tiny, tally, trials, tmp_path):
    row = tally("training on hostile texts", "2 steps, or one line and no folder")
    short = ["trainer.max_steps=2", "trainer.val_every=2", "logger=none"]
    for seed in trials(fast=3, full=100):
        task, write = list(CORPORA.items())[seed % 3]
        tokenizer = TOKENIZERS[task][seed // 3 % 3]
        file, words = write(seed, tmp_path)
        folder = tmp_path / f"run{seed}"
        with row.trial(f"seed {seed}, task={task}, {tokenizer}"):
            answered = ask(
                "train",
                *(*tiny, *words, *short, f"task={task}", f"data.path={file}"),
                *(f"data.tokenizer={tokenizer}", "data.vocab_size=300", f"run.dir={folder}"),
            )
            assert folder.exists() == (answered is not None)
            if answered is not None:
                for name, more in AFTER[task]:
                    check(ask(name, f"run={folder}", *more), name, more)


def check(out, name, words):
    """Check an answer: a line of translation for each line, a label for each text."""
    if out is None or not words:
        return
    if name == "predict" and "text" not in words[0].partition("=")[0]:
        for line in out.splitlines():
            answer = json.loads(line)
            assert set(answer) == {"label", "probabilities"}
    if name == "translate" and words[0].startswith("text="):
        assert out.count("\n") == 1, repr(out)


def _bytes(text):
    """Return whether every surrogate in the text stands for a byte."""
    return all(not 0xD800 <= ord(c) < 0xE000 or 0xDC80 <= ord(c) < 0xDD00 for c in text)


def _file(text, path):
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def _of_language_model(seed, text, path, monkeypatch):
    yield "generate", [f"prompt={text}", "length=5"]
    yield from _inspected(seed, text, path)


def _of_pairs(seed, text, path, monkeypatch):
    yield "translate", [f"text={text}"]
    if seed % 4 == 1:
        yield "translate", [f"input={_file(text, path)}"]
    yield from _inspected(seed, text, path)


def _of_labels(seed, text, path, monkeypatch):
    yield "predict", [f"text={text}"]
    if seed % 4 == 2:
        content = text.encode("utf-8", "surrogatepass")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        yield "predict", []
    yield from _inspected(seed, text, path)


def _inspected(seed, text, path):
    """Inspecting draws pictures, which takes seconds, so each text goes to one of the ways."""
    if seed % 3 == 0:
        kind = ("text", "html", "markdown")[seed // 3 % 3]
        yield "explain", [f"text={text}", f"format={kind}", "truncate=true"]
    if seed % 10 == 1:
        yield "inspect_attention", [f"text={text}", f"dir={path}-maps", "truncate=true"]


COMMANDS = {"text": _of_language_model, "pairs": _of_pairs, "labels": _of_labels}


def _text(seed, folder):
    text = "".join(hostile(1000 * seed + n) + "\n" for n in range(20))
    return _file(text, folder / f"{seed}.txt"), []


def _records(seed, first, second):
    for n in range(60):
        yield first(1000 * seed + 2 * n), second(1000 * seed + 2 * n + 1)


def _short(seed):
    return hostile(seed)[:40]


def _pairs(seed, folder):
    return _jsonl(seed, folder, ("source", "target"), _short)


def _labels(seed, folder):
    return _jsonl(
        seed, folder, ("label", "text"), lambda seed: f"{hostile(seed % 2)[:9]}{seed % 2}"
    )


def _jsonl(seed, folder, fields, first):
    """Write records without the surrogates and the empty texts that are refused by themselves."""
    records = _records(seed, *(first, _short))
    clean = [[text.encode("utf-8", "replace").decode() for text in each] for each in records]
    kept = [dict(zip(fields, each, strict=True)) for each in clean if all(t.strip() for t in each)]
    lines = "".join(json.dumps(each, ensure_ascii=seed % 2 == 0) + "\n" for each in kept)
    return _file(lines, folder / f"{seed}.jsonl"), [
        *SMALL,
        "data.batch_tokens=2000",
        "model.context=200",
    ]


CORPORA = {"text": _text, "pairs": _pairs, "labels": _labels}
AFTER = {
    "text": [("evaluate", []), ("head_importance", ["batches=1"])],
    "pairs": [("evaluate", []), ("head_importance", ["batches=1"])],
    "labels": [("evaluate", ["split=test"])],
}
