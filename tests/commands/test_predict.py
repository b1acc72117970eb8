"""Test `minitx predict`: labels and probabilities of texts, and its errors."""

import io
import json
import sys
import warnings

import pytest
import torch
from example_corpora import SIGNS, SMALL, labelled_texts, part_of_texts, write_jsonl

import minitx
from minitx.commands import text_io
from minitx.decoding import prediction

BOS = 1
LABELS = sorted(SIGNS)


@pytest.fixture(scope="module")
def corpus():
    return labelled_texts(600)


@pytest.fixture(scope="module")
def folder(train, corpus, tmp_path_factory):
    """A run that tells three kinds of text from each other."""
    place = tmp_path_factory.mktemp("labels")
    path = write_jsonl(place / "texts.jsonl", corpus)
    words = ["task=labels", f"data.path={path}", *SMALL, "data.batch_tokens=300", "model.dim=32"]
    end = ["trainer.max_steps=15", "trainer.val_every=15", "model.mixer=none"]
    train(*words, *end, f"run.dir={place / 'run'}")
    return place / "run"


@pytest.fixture
def predict(script, folder, monkeypatch):
    """Runs the script with a command line, and with lines on standard input."""

    def predict(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return script("predict", f"run={folder}", *arguments)

    return predict


def answers(text):
    return [json.loads(line) for line in text.splitlines()]


def by_hand(folder, texts):
    """Return the probabilities of every text alone: {label: probability} for each."""
    run = minitx.load(folder)
    found = []
    for text in texts:
        with torch.no_grad():
            logits = run.model(torch.tensor([[BOS, *run.tokenizer.encode(text)]]))[0]
        shares = logits.double().softmax(dim=-1).tolist()
        found.append(dict(zip(run.vocabulary.labels, shares, strict=True)))
    return found


@pytest.fixture(scope="module")
def sources(corpus):
    return [text for _, text in part_of_texts(corpus, "test")]


@pytest.mark.parametrize("batch_tokens", [20, 100_000])
def test_every_text_gets_its_probabilities_and_the_likeliest_label(
    batch_tokens, predict, folder, sources, monkeypatch
):
    monkeypatch.setattr(prediction, "EVALUATION_TOKENS", batch_tokens)
    stdin = "".join(f"{text}\n" for text in sources).encode()
    answer = predict(stdin=stdin)
    assert (answer.status, answer.err) == (0, "")
    found = answers(answer.out)
    for one, expected in zip(found, by_hand(folder, sources), strict=True):
        assert set(one) == {"label", "probabilities"}
        shares = one["probabilities"]
        assert shares == pytest.approx(expected, abs=1e-6)
        assert set(shares) == set(LABELS)
        assert sum(shares.values()) == pytest.approx(1)
        assert one["label"] == max(shares, key=shares.get)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_most_labels_are_right(predict, corpus):
    examples = part_of_texts(corpus, "test")
    found = answers(predict(stdin="\n".join(text for _, text in examples).encode()).out)
    right = sum(one["label"] == label for one, (label, _) in zip(found, examples, strict=True))
    assert right / len(examples) > 0.8


@pytest.mark.parametrize("chunk", [1, 7, 500])
def test_a_file_is_answered_line_by_line(chunk, predict, monkeypatch, sources, tmp_path):
    monkeypatch.setattr(text_io, "CHUNK", chunk)
    source, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("\n".join(sources), encoding="utf-8")
    answer = predict(f"input={source}", f"output={output}")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    expected = answers(predict(stdin=source.read_bytes()).out)
    for one, other in zip(answers(output.read_text(encoding="utf-8")), expected, strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_a_single_text_gets_a_table_to_read(predict, folder):
    """The likeliest label first, shares in hundredths."""
    answer = predict("text=the old cat is here")
    assert (answer.status, answer.err) == (0, "")
    rows = [line.split() for line in answer.out.splitlines()]
    (expected,) = by_hand(folder, ["the old cat is here"])
    order = sorted(expected, key=expected.get, reverse=True)
    assert [name for name, _ in rows] == order
    assert order[0] == "animal"
    for name, share in rows:
        assert share.endswith("%")
        assert float(share[:-1]) == pytest.approx(100 * expected[name], abs=0.006)


def test_a_single_text_into_a_file_is_json(predict, tmp_path):
    output = tmp_path / "out.jsonl"
    assert predict("text=the old cat is here", f"output={output}").status == 0
    (found,) = answers(output.read_text(encoding="utf-8"))
    assert found["label"] == "animal"


def test_text_is_taken_as_it_is(predict):
    """Commas, quotes and brackets are no part of a command line's syntax."""
    one = predict('text=the cat, "is" {here} [now] key=value ${x}')
    assert one.status == 0
    assert "has words that the model never saw" in one.err


def test_a_note_names_words_that_were_never_seen(predict):
    answer = predict(stdin=b"the cat\nthe unicorn\n")
    assert answer.status == 0
    assert len(answers(answer.out)) == 2
    assert answer.err == "note: 'the unicorn' has words that the model never saw\n"


@pytest.mark.parametrize(
    ("bad", "parts"), [("", ["empty"]), ("the " * 24, ["25 tokens", "24", "model.context=25"])]
)
def test_a_bad_line_ends_the_output_after_the_lines_before_it(bad, parts, predict, tmp_path):
    source, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(f"the cat\na saw\n{bad}\na pear\n", encoding="utf-8")
    answer = predict(f"input={source}", f"output={output}")
    assert answer.status == 1
    assert answer.err.count("\n") == 1
    for part in ("error: ", str(source), "line 3", *parts, str(output)):
        assert part in answer.err
    found = answers(output.read_text(encoding="utf-8"))
    assert [one["label"] for one in found] == ["animal", "tool"]


REFUSED = {
    "an empty text": (["text="], ["empty"]),
    "a text that is too long": ([f"text={'the ' * 30}"], ["31 tokens", "24", "model.context=31"]),
    "nothing to classify": ([], ["text=", "input="]),
    "no such file": (["input=nowhere.txt"], ["nowhere.txt", "No such file"]),
    "an output that is there": (["text=the cat", "output=kept.txt"], ["kept.txt", "already"]),
    "a key of another script": (["text=the cat", "n_best=2"], ["n_best"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_requests_are_one_line_and_leave_nothing(case, predict, monkeypatch, tmp_path):
    arguments, parts = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.txt").write_text("years of work", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be one more line on standard error
        answer = predict("output=out.jsonl", *arguments)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1, answer.err
    for part in parts:
        assert part in answer.err, answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8") == "years of work"
