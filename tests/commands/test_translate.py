"""Test `minitx translate`: the outputs of sources, its errors, and the files after an error."""

import gzip
import io
import sys
import warnings

import pytest
import torch
from example_corpora import DIGITS, SMALL, number_pairs, part_of_pairs, write_tsv

import minitx
from minitx.commands import text_io

BEAM = 4


@pytest.fixture(scope="module")
def pairs():
    """Numbers without blanks, so that a source is one of characters: ("17", "seven one")."""
    return [(source.replace(" ", ""), target) for source, target in number_pairs(1200)]


@pytest.fixture(scope="module")
def folder(train, pairs, tmp_path_factory):
    """A run that writes numbers in words, most of them right."""
    place = tmp_path_factory.mktemp("pairs")
    path = write_tsv(place / "numbers.tsv", pairs)
    words = ["task=pairs", f"data.path={path}", *SMALL, "data.batch_tokens=600"]
    text = ["data.tokenizer=char", "data.target_tokenizer=word", f"decoding.beam={BEAM}"]
    model = ["model=lstm", "model.dim=32", "model.attention=dot", "optimizer.lr=0.02"]
    end = ["trainer.max_steps=80", "trainer.val_every=40", "task.measure=wer"]
    train(*words, *text, *model, *end, f"run.dir={place / 'run'}")
    return place / "run"


@pytest.fixture
def translate(script, folder, monkeypatch):
    """Runs the script with a command line, and with lines on standard input."""

    def translate(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return script("translate", f"run={folder}", *arguments)

    return translate


def answered(answer):
    assert (answer.status, answer.err) == (0, "")
    return answer.out.splitlines()


def refused(answer, *parts):
    """One line on standard error that has these parts."""
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1, answer.err
    for part in parts:
        assert part in answer.err, answer.err
    return answer


def test_texts_come_from_the_command_line_standard_input_or_a_file(translate, pairs, tmp_path):
    """Their outputs are the same, and in their order, which is not that of their lengths."""
    test = part_of_pairs(pairs, "test")[:5]
    lengths = [len(source) for source, _ in test]
    assert lengths != sorted(lengths)
    by_hand = [answered(translate(f"text={source}")) for source, _ in test]
    assert all(len(written) == 1 for written in by_hand)
    written = [line for (line,) in by_hand]
    right = sum(line == target for line, (_, target) in zip(written, test, strict=True))
    assert right > len(test) / 2
    sources = "".join(f"{source}\n" for source, _ in test).encode()
    assert answered(translate(stdin=sources)) == written
    (tmp_path / "in.txt").write_bytes(sources.replace(b"\n", b"\r\n"))  # of another system
    with gzip.open(tmp_path / "in.gz", "wb") as file:
        file.write(sources.rstrip())  # nothing ends the last line
    for name in ("in.txt", "in.gz"):
        assert answered(translate(f"input={tmp_path / name}")) == written
        output = tmp_path / f"{name}.out"
        assert answered(translate(f"input={tmp_path / name}", f"output={output}")) == []
        assert output.read_text(encoding="utf-8").splitlines() == written


def scored(line):
    score, text = line.split("\t")
    return float(score), text


def log_p(folder, source, output):
    """Return the model's log p of an output alone, and its tokens with the end."""
    run = minitx.load(folder)
    ids = [*run.vocabulary.source.encode(source), 2]
    target = [*run.vocabulary.target.encode(output), 2]
    with torch.no_grad():
        logits = run.model(torch.tensor([ids]), None, torch.tensor([[1, *target[:-1]]]))
    log_probs = logits[0].log_softmax(dim=-1)
    return float(sum(log_probs[t, token] for t, token in enumerate(target))), len(target)


def test_n_best_outputs_come_with_scores_best_first(translate, folder):
    sources = b"471\n20\n"
    found = [scored(line) for line in answered(translate("n_best=3", stdin=sources))]
    assert len(found) == 6
    for outputs in (found[:3], found[3:]):
        scores = [score for score, _ in outputs]
        assert scores == sorted(scores, reverse=True)
        assert len({text for _, text in outputs}) == 3
    best = answered(translate(stdin=sources))
    assert best == [found[0][1], found[3][1]]
    assert answered(translate("scores=true", stdin=sources)) == [
        f"{score:.4f}\t{text}" for score, text in (found[0], found[3])
    ]
    for score, text in found[:3]:
        total, length = log_p(folder, "471", text)
        assert score == pytest.approx(total / ((5 + length) / 6) ** 0.6, abs=1e-4)


def test_every_output_is_a_text_of_its_own(translate):
    """The ten digits and the empty output: the other four tokens stand for no text."""
    words = ["n_best=11", "decoding.beam=11", "decoding.max_length=1"]
    found = [scored(line)[1] for line in answered(translate(*words, "text=471"))]
    assert sorted(found) == sorted(["", *DIGITS])
    drawn = answered(translate("n_best=300", "temperature=20", "seed=1", "text=471"))
    words = {word for line in drawn for word in scored(line)[1].split()}
    assert words == {*DIGITS}
    kept = answered(translate("temperature=1", "top_k=1000", "text=471"))
    assert kept == answered(translate("temperature=1", "text=471"))


def test_the_runs_decoding_may_be_changed(translate, folder):
    def scores(*words):
        return [
            scored(line)[0] for line in answered(translate("n_best=4", *words, stdin=b"4711\n"))
        ]

    assert len(scores()) == BEAM
    total, _ = log_p(folder, "4711", answered(translate("text=4711"))[0])
    assert scores("decoding.length_penalty=0")[0] == pytest.approx(total, abs=1e-4)
    assert scores("decoding.beam=6")[0] >= scores()[0] - 1e-4
    for length in (1, 3):
        line = answered(translate("text=4711", f"decoding.max_length={length}"))[0]
        assert len(line.split()) <= length
    line = answered(translate("text=4", "decoding.min_length=5"))[0]
    assert len(line.split()) >= 5


def test_a_beam_of_one_is_greedy(translate, pairs):
    sources = "".join(f"{source}\n" for source, _ in pairs[:40]).encode()
    beam = answered(translate("decoding.beam=1", stdin=sources))
    assert answered(translate("temperature=0", stdin=sources)) == beam
    assert answered(translate("temperature=1", "top_k=1", stdin=sources)) == beam


def test_draws_repeat_with_their_seed_only(translate, folder):
    def draws(seed):
        words = ["temperature=3", "n_best=10", f"seed={seed}"]
        return answered(translate(*words, "text=4711"))

    assert draws(5) == draws(5)
    assert draws(5) != draws(6)
    found = [scored(line) for line in draws(5)]
    assert len(found) == 10  # more than the beam is wide: draws need none
    assert [score for score, _ in found] == sorted((s for s, _ in found), reverse=True)
    assert len({text for _, text in found}) > 1
    for score, text in found[:3]:
        assert score == pytest.approx(log_p(folder, "4711", text)[0], abs=1e-3)


def test_a_note_names_characters_that_were_never_seen(translate):
    answer = translate(stdin=b"47\n4x7\n")
    assert answer.status == 0
    assert len(answer.out.splitlines()) == 2
    assert answer.err == "note: '4x7' has characters that the model never saw\n"


def test_an_output_that_exists_is_left_alone(translate, tmp_path):
    output = tmp_path / "out.txt"
    output.write_text("years of work\n", encoding="utf-8")
    refused(translate("text=47", f"output={output}"), str(output), "already")
    assert output.read_text(encoding="utf-8") == "years of work\n"


@pytest.mark.parametrize(
    ("bad", "parts", "chunk"),
    [
        (b"", ["empty"], 2),
        (b" \t", ["empty"], 500),
        (b"1" * 24, ["25 tokens", "24", "model.context=25"], 1),
    ],
    ids=["empty", "blank", "too long"],
)
def test_a_bad_line_ends_the_output_after_the_lines_before_it(
    bad, parts, chunk, translate, monkeypatch, tmp_path
):
    monkeypatch.setattr(text_io, "CHUNK", chunk)
    good = [b"471", b"20", b"9"]
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"\n".join([*good, bad, *good]) + b"\n")
    answer = translate(f"input={source}", f"output={output}")
    refused(answer, str(source), "line 4", *parts, str(output))
    written = answered(translate(stdin=b"\n".join(good)))
    assert output.read_text(encoding="utf-8").splitlines() == written
    answer = refused(translate(stdin=source.read_bytes()), "standard input", "line 4", *parts)
    assert answer.out.splitlines() == written


def test_a_line_that_is_no_text(translate, tmp_path):
    """A file is looked through first; of standard input, what came before is answered."""
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"471\n4\xff7\n")
    answer = translate(f"input={source}", f"output={output}")
    refused(answer, str(source), "not UTF-8", "line 2")
    assert not output.exists()
    answer = translate(stdin=source.read_bytes())
    refused(answer, "standard input", "not UTF-8", "line 2")
    assert answer.out.splitlines() == answered(translate("text=471"))


REFUSED = {
    "an empty text": (["text="], ["empty"]),
    "a text that is too long": ([f"text={'1' * 30}"], ["31 tokens", "24", "model.context=31"]),
    "nothing to translate": ([], ["text=", "input="]),
    "two sources": (["text=1", "input=in.txt"], ["text=", "input="]),
    "no such file": (["input=nowhere.txt"], ["nowhere.txt", "No such file"]),
    "a folder": (["input=."], ["directory"]),
    "an empty file": (["input=empty.txt"], ["empty.txt", "empty"]),
    "a first line that is bad": (["input=blank.txt"], ["blank.txt, line 1", "empty"]),
    "more than the beam holds": (["text=1", "n_best=5"], ["n_best=5", "decoding.beam=4", "=5"]),
    "more than a beam said": (["text=1", "n_best=2", "decoding.beam=1"], ["decoding.beam=1"]),
    "more than there are": (
        ["text=1", "n_best=20", "decoding.beam=20", "decoding.max_length=1"],
        ["n_best=20", "only 11 outputs", "n_best=11", "decoding.max_length=1"],
    ),
    "a beam of none": (["text=1", "decoding.beam=0"], ["decoding.beam=0", "at least 1"]),
    "a beam of too many": (
        ["text=1", "decoding.beam=10001"],
        ["decoding.beam=10001", "at most 10000"],
    ),
    "drawn longer than the context": (
        ["text=1", "temperature=1", "decoding.max_length=24"],
        ["decoding: max_length=24", "23"],
    ),
    "an output of none": (["text=1", "decoding.max_length=0"], ["max_length=0", "at least 1"]),
    "no outputs": (["text=1", "n_best=0"], ["n_best=0", "at least 1"]),
    "longer than the context": (["text=1", "decoding.max_length=24"], ["max_length=24", "23"]),
    "shortest over longest": (
        ["text=1", "decoding.max_length=3", "decoding.min_length=4"],
        ["min_length=4"],
    ),
    "to search and to draw": (
        ["text=1", "temperature=1", "decoding.beam=3"],
        ["decoding.beam=3", "temperature=1"],
    ),
    "to score and to draw": (
        ["text=1", "temperature=1", "decoding.length_penalty=1"],
        ["decoding.length_penalty=1", "temperature=1"],
    ),
    "a temperature below 0": (["text=1", "temperature=-1"], ["temperature=-1", "at least 0"]),
    "a misspelt key": (["text=1", "n_bets=2"], ["n_bets", "did you mean n_best?"]),
    "a misspelt key of decoding": (["text=1", "decoding.baem=2"], ["did you mean decoding.beam?"]),
    "a missing device": (["text=1", "device=cuda"], ["device=cuda"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_requests_are_one_line_and_leave_nothing(case, translate, monkeypatch, tmp_path):
    arguments, parts = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.txt").write_text("\n471\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be one more line on standard error
        answer = refused(translate(*arguments, "output=out.txt"), *parts)
    assert answer.out == ""
    assert "out.txt" not in answer.err
    assert {path.name for path in tmp_path.iterdir()} == {"empty.txt", "blank.txt"}


def test_an_output_in_no_folder(translate, tmp_path):
    answer = translate("text=1", f"output={tmp_path / 'nowhere' / 'out.txt'}")
    refused(answer, "nowhere", "No such file")


def test_without_a_run(script):
    refused(script("translate", "text=1"), "run=")
