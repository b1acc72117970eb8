"""Test that n texts get n lines, whatever is in the texts, in the answers and in the labels."""

import io
import json
import sys

import pytest
from example_corpora import SMALL

import minitx

TARGET = "ab\ncd\x85e\u2028f\tg\\n"
ESCAPED = "ab\\ncd\\u0085e\\u2028f\tg\\n"  # as a line
SCORED = "ab\\ncd\\u0085e\\u2028f\\tg\\n"  # next to a score, from which a tab separates it
LABELS = ("one\nline", "two\x0blines\u2029")
SOURCES = ["471", "2 0", "9\u2028", "5\r5", "7\x007", "\x0b8"]


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def translator(train, tmp_path_factory):
    """A run that has learned to write the same target for every source."""
    place = tmp_path_factory.mktemp("pairs")
    pairs = [{"source": f"{n}", "target": f" {TARGET}\n"} for n in range(300)]
    words = ["task=pairs", f"data.path={write(place / 'p.jsonl', pairs)}", *SMALL]
    kind = ["data.tokenizer=char", "data.batch_tokens=400", "decoding.beam=2", "model=lstm"]
    steps = ["trainer.max_steps=60", "trainer.val_every=20", "optimizer.lr=0.03", "model.dim=32"]
    train(*words, *kind, *steps, f"run.dir={place / 'run'}")
    return place / "run"


@pytest.fixture(scope="module")
def classifier(train, tmp_path_factory):
    place = tmp_path_factory.mktemp("labels")
    records = [{"label": LABELS[n % 2], "text": f"{n}"} for n in range(200)]
    words = ["task=labels", f"data.path={write(place / 'l.jsonl', records)}", *SMALL]
    end = ["data.tokenizer=char", "data.batch_tokens=300", "trainer.max_steps=2"]
    train(*words, *end, "trainer.val_every=2", "model.mixer=none", f"run.dir={place / 'run'}")
    return place / "run"


@pytest.fixture
def answer(script, monkeypatch):
    """The lines that a command prints for lines on standard input."""

    def answer(name, run, *words, lines=SOURCES):
        stdin = "".join(f"{line}\n" for line in lines).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        found = script(name, f"run={run}", *words)
        assert found.status == 0, found.err
        assert found.out.splitlines() == found.out.split("\n")[:-1]
        return found.out.splitlines()

    return answer


def test_an_output_with_line_breaks_is_one_line(translator, answer, tmp_path):
    assert answer("translate", translator) == 6 * [ESCAPED]
    assert answer("translate", translator, f"output={tmp_path / 'out.txt'}") == []
    assert (tmp_path / "out.txt").read_bytes().decode() == 6 * f"{ESCAPED}\n"
    assert answer("translate", translator, "text=4\n4", lines=[]) == [ESCAPED]
    assert minitx.load(translator).translate(["4", "4\n4"]) == 2 * [TARGET]


@pytest.mark.parametrize("words", [["scores=true"], ["n_best=2"], ["temperature=1", "n_best=3"]])
def test_an_output_with_a_score_has_one_tab(translator, answer, words):
    lines = answer("translate", translator, *words)
    count = next((int(word[-1]) for word in words if word.startswith("n_best")), 1)
    assert len(lines) == 6 * count
    assert {line.count("\t") for line in lines} == {1}
    assert SCORED in {line.partition("\t")[2] for line in lines}


def test_labels_with_line_breaks_are_one_line(classifier, answer):
    found = [json.loads(line) for line in answer("predict", classifier)]
    assert len(found) == 6
    labels = {"one\nline", "two\x0blines"}
    assert all(set(one["probabilities"]) == labels and one["label"] in labels for one in found)
    table = answer("predict", classifier, "text=4", lines=[])
    assert {line.split("  ")[0].strip() for line in table} == {"one\\nline", "two\\u000blines"}


def test_files_of_a_run_have_a_line_for_each_example(translator, classifier, script):
    """What a training and an evaluation leave can be read by line in every program."""
    step, *rows = (
        (translator / "samples.txt").read_text(encoding="utf-8").split("\n\n")[0].split("\n")
    )
    assert step == "--- step 20 ---"
    assert len(rows) == len("\n".join(rows).splitlines()) == 8
    assert all(f"({ESCAPED})" in row for row in rows)
    for run, name in ((translator, "references"), (classifier, "label")):
        assert script("evaluate", f"run={run}", "split=test").status == 0
        text = (run / "outputs_test.jsonl").read_bytes().decode()
        lines = text.splitlines()
        assert lines == text.split("\n")[:-1]
        expected = ([TARGET], "one\nline", "two\x0blines")
        assert all(json.loads(line)[name] in expected for line in lines)
        figures = json.loads((run / "evaluation_test.json").read_text(encoding="utf-8"))
        assert figures["split"] == "test"
        if run == translator:
            assert {json.loads(line)["hypothesis"] for line in lines} == {TARGET}
