"""Test `minitx evaluate` on pairs and labels: its figures follow from the files that it wrote.

Also test which command is for which kind of run.
"""

import io
import json
import re
import subprocess
import sys

import pytest
from example_corpora import (
    SIGNS,
    SMALL,
    labelled_texts,
    number_pairs,
    part_of_pairs,
    part_of_texts,
    write_jsonl,
    write_tsv,
)

import minitx

PAIRS, TEXTS = number_pairs(600), labelled_texts(400)


@pytest.fixture(scope="module")
def runs(train, tmp_path_factory):
    """The folder of a run of each objective, hardly trained, so that much is wrong."""
    place = tmp_path_factory.mktemp("runs")
    pairs = write_tsv(place / "numbers.tsv", PAIRS)
    texts = write_jsonl(place / "texts.jsonl", TEXTS)
    end = ["trainer.max_steps=40", "trainer.val_every=40"]
    model = ["model=lstm", "model.dim=32", "optimizer.lr=0.02", "model.attention=dot"]
    words = ["task=pairs", f"data.path={pairs}", *SMALL, "data.batch_tokens=400", *model, *end]
    train(*words, f"run.dir={place / 'pairs'}", "decoding.beam=2")
    train(*words, f"run.dir={place / 'phonemes'}", "decoding.beam=1", "task.measure=wer")
    end = ["trainer.max_steps=5", "trainer.val_every=5", "data.batch_tokens=200"]
    words = ["task=labels", f"data.path={texts}", *SMALL, "model.dim=16", *end]
    train(*words, f"run.dir={place / 'labels'}")
    train(f"run.dir={place / 'text'}", "trainer.max_steps=2")
    return place


@pytest.fixture
def evaluated(script, runs):
    """Runs the script on a run; gives what evaluation_*.json and outputs_*.jsonl then hold."""

    def evaluated(name, split, *words):
        folder = runs / name
        answer = script("evaluate", f"run={folder}", f"split={split}", *words)
        assert (answer.status, answer.err) == (0, "")
        found = json.loads((folder / f"evaluation_{split}.json").read_text(encoding="utf-8"))
        for file in (f"evaluation_{split}.json", f"outputs_{split}.jsonl"):
            assert file in answer.out
        lines = (folder / f"outputs_{split}.jsonl").read_text(encoding="utf-8").splitlines()
        return found, [json.loads(line) for line in lines], answer.out

    return evaluated


def trained(runs, name):
    """The metrics that the training itself has left."""
    return json.loads((runs / name / "summary.json").read_text(encoding="utf-8"))["metrics"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_outputs_are_in_the_order_of_the_split(split, evaluated, runs):
    found, lines, _ = evaluated("pairs", split)
    expected = part_of_pairs(PAIRS, split)
    assert [(line["source"], line["references"]) for line in lines] == [
        (source, [target]) for source, target in expected
    ]
    assert all(isinstance(line["score"], float) and line["score"] <= 0 for line in lines)
    assert (found["split"], found["checkpoint"], found["step"]) == (split, "best.ckpt", 40)
    assert len({line["hypothesis"] for line in lines}) > 1


def test_the_test_split_scores_as_it_did_in_training(evaluated, runs):
    found, _, _ = evaluated("pairs", "test")
    assert found["decoding"]["beam"] == 2
    assert set(found["metrics"]) == {"bleu", "bleu_lowercase", "chrf"}
    for name, value in found["metrics"].items():
        assert value == pytest.approx(trained(runs, "pairs")[f"test/{name}"])


def test_bleu_and_chrf_are_those_of_sacrebleus_command(evaluated, tmp_path):
    found, lines, _ = evaluated("pairs", "test", "decoding.beam=1")
    assert found["decoding"]["beam"] == 1
    for name in ("source", "hypothesis"):
        text = "".join(f"{line[name]}\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8")
    references = "".join(f"{line['references'][0]}\n" for line in lines)
    (tmp_path / "reference").write_text(references, encoding="utf-8")
    command = ["sacrebleu", tmp_path / "reference", "-i", tmp_path / "hypothesis"]
    answer = subprocess.run(
        [sys.executable, "-m", *map(str, command), "-m", "bleu", "chrf", "--width", "6"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    bleu, chrf = json.loads(answer.stdout)
    assert 0 < bleu["score"] < 100
    assert found["metrics"]["bleu"] == pytest.approx(bleu["score"], abs=1e-5)
    assert found["metrics"]["chrf"] == pytest.approx(chrf["score"], abs=1e-5)
    signatures = {line.split(": ")[0]: line.split(": ", 1)[1] for line in found["signatures"]}
    for name, theirs in (("bleu", bleu), ("chrf", chrf)):
        ours = signatures[name]
        # Apart from the bootstrap, which the command did not do.
        parts = [part for part in theirs["signature"].split("|") if "bs:" not in part]
        assert set(parts) <= set(ours.split("|"))


def test_another_decoding_is_another_output(evaluated):
    """Settings that differ from the run's are stored with the figures."""
    short, lines, _ = evaluated("pairs", "val", "decoding.max_length=1", "decoding.beam=3")
    assert (short["decoding"]["max_length"], short["decoding"]["beam"]) == (1, 3)
    assert all(len(line["hypothesis"].split()) <= 1 for line in lines)
    long, lines, _ = evaluated("pairs", "val")
    assert (long["decoding"]["max_length"], long["decoding"]["beam"]) == (None, 2)
    assert any(len(line["hypothesis"].split()) > 1 for line in lines)
    assert long["metrics"]["chrf"] > short["metrics"]["chrf"]


def distance(one, other):
    """Levenshtein's, row by row."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def test_error_rates_can_be_computed_again_from_the_outputs(evaluated, runs):
    found, lines, _ = evaluated("phonemes", "test")
    assert set(found["metrics"]) == {"wer", "per"}
    pairs = [(line["hypothesis"].split(), line["references"][0].split()) for line in lines]
    wrong = sum(output != reference for output, reference in pairs)
    assert 0 < wrong < len(pairs)
    assert found["metrics"]["wer"] == pytest.approx(wrong / len(pairs))
    edits = sum(distance(output, reference) for output, reference in pairs)
    length = sum(len(reference) for _, reference in pairs)
    assert found["metrics"]["per"] == pytest.approx(edits / length)
    for name in ("wer", "per"):
        assert found["metrics"][name] == pytest.approx(trained(runs, "phonemes")[f"test/{name}"])


@pytest.mark.parametrize("name", ["pairs", "phonemes", "labels"])
def test_intervals_are_around_their_figures_and_both_are_printed(name, evaluated):
    found, _, out = evaluated(name, "test")
    assert found["intervals"].keys() <= found["metrics"].keys()
    assert len(found["intervals"]) >= 2
    for metric, (low, high) in found["intervals"].items():
        assert low < found["metrics"][metric] < high
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", out)]
        for value in (found["metrics"][metric], low, high):
            assert any(abs(value - number) < 0.006 for number in numbers), (metric, value, out)


def test_labels_and_their_confusion(evaluated, runs):
    from minitx.tasks.open import open_task

    found, lines, out = evaluated("labels", "test")
    examples = part_of_texts(TEXTS, "test")
    assert [(line["label"], line["text"]) for line in lines] == examples
    assert {line["predicted"] for line in lines} <= set(SIGNS)
    assert all(1 / 3 <= line["probability"] <= 1 for line in lines)
    right = sum(line["label"] == line["predicted"] for line in lines)
    assert found["metrics"]["accuracy"] == pytest.approx(right / len(lines))
    for name in ("loss", "accuracy", "macro_f1"):
        assert found["metrics"][name] == pytest.approx(trained(runs, "labels")[f"test/{name}"])
    run = minitx.load(runs / "labels")
    evaluation = open_task(run.config).evaluate(run.model, "test", run.config.decoding)
    labels = run.vocabulary.labels
    table = [
        [sum((line["label"], line["predicted"]) == (a, b) for line in lines) for b in labels]
        for a in labels
    ]
    assert evaluation.confusion.tolist() == table
    assert evaluation.confusion.sum() == len(examples)
    assert "confusion_test.png" in out
    assert (runs / "labels" / "confusion_test.png").read_bytes().startswith(b"\x89PNG")


def test_training_data_can_be_measured_too(evaluated):
    found, lines, _ = evaluated("labels", "train")
    assert len(lines) == len(part_of_texts(TEXTS, "train"))
    assert found["metrics"]["accuracy"] > 0


def test_a_text_has_no_outputs(script, runs):
    answer = script("evaluate", f"run={runs / 'text'}", "split=test")
    assert (answer.status, answer.err) == (0, "")
    found = json.loads((runs / "text" / "evaluation_test.json").read_text(encoding="utf-8"))
    assert found["metrics"]["loss"] == pytest.approx(trained(runs, "text")["test/loss"])
    assert re.fullmatch(r"95%, bootstrap over \d+ clusters of windows, .*", found["intervals_are"])
    assert not (runs / "text" / "outputs_test.jsonl").exists()


def test_a_checkpoint_elsewhere_has_its_figures_next_to_it(script, runs, tmp_path):
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((runs / "labels" / "checkpoints" / "last.ckpt").read_bytes())
    answer = script("evaluate", f"run={lone}", "split=val")
    assert (answer.status, answer.err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("lone.ckpt", "evaluation_val.json", "outputs_val.jsonl", "confusion_val.png")
    }


@pytest.mark.parametrize("name", ["pairs", "labels"])
def test_a_corpus_that_changed_is_not_measured(name, script, runs, tmp_path):
    """It is found where it was moved to, and known by what it holds."""
    original = {"pairs": PAIRS, "labels": TEXTS}[name]
    write = {"pairs": write_tsv, "labels": write_jsonl}[name]
    suffix = {"pairs": "tsv", "labels": "jsonl"}[name]
    moved = write(tmp_path / f"moved.{suffix}", original)
    changed = write(tmp_path / f"changed.{suffix}", original[:-1])
    assert script("evaluate", f"run={runs / name}", f"data.path={moved}").status == 0
    answer = script("evaluate", f"run={runs / name}", f"data.path={changed}")
    assert (answer.status, answer.out) == (1, "")
    assert "not the one" in answer.err


OBJECTIVES = {
    "text": ("generate", "language modelling"),
    "pairs": ("translate", "sequence to sequence"),
    "labels": ("predict", "classification"),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("wrong", ["generate", "translate", "predict"])
def test_the_wrong_script_names_the_right_one(name, wrong, script, runs, monkeypatch):
    right, objective = OBJECTIVES[name]
    if wrong == right:
        return
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1 2\n")))
    answer = script(wrong, f"run={runs / name}")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for part in (objective, f"task={name}", f"scripts/{right}.py"):
        assert part in answer.err
