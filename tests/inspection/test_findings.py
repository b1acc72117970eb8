"""Test what is found out about a run and a text, in addition to the maps."""

import dataclasses
import json

import pytest
import torch
from inspected import LABELLED, PAIRS, TEXTS, lstm, make_run, transformer

from minitx.errors import UserError
from minitx.inspection.findings import CANDIDATES, findings, head_costs
from minitx.inspection.induction import induction_score
from minitx.inspection.model_inputs import read_passage
from minitx.inspection.reading import attention, inspect_text
from minitx.inspection.weights import HeadCosts

TEXT = "abc dab."


@pytest.mark.parametrize("config", [transformer(), lstm()])
def test_every_position_has_the_probabilities_of_what_comes_next(config):
    run = make_run(TEXTS, config)
    passage = read_passage(run, TEXT)
    found = findings(run, passage).predictions
    assert [each.token for each in found] == list(TEXT)
    logits, _ = run.model(passage.source.ids)
    expected = logits[0].detach().softmax(-1)
    for place, each in enumerate(found):
        labels, values = zip(*each.candidates, strict=True)
        assert len(set(labels)) == CANDIDATES
        assert list(values) == sorted(values, reverse=True)
        for label, value in each.candidates:
            (number,) = run.tokenizer.encode(label)
            assert value == pytest.approx(float(expected[place, number]), abs=1e-6)
        assert values[0] == pytest.approx(float(expected[place].max()), abs=1e-6)
        if place + 1 == len(TEXT):
            assert each.actual is None
            continue
        probability, better = each.actual
        follower = expected[place, run.tokenizer.encode(TEXT[place + 1])[0]]
        assert probability == pytest.approx(float(follower), abs=1e-6)
        assert better == int((expected[place] > follower).sum())
        if better < CANDIDATES:
            assert each.candidates[better] == (TEXT[place + 1], probability)


def test_a_model_has_the_findings_of_its_objective():
    run = make_run(TEXTS, transformer())
    found = findings(run, read_passage(run, TEXT))
    expected = induction_score(run.model, run.tokenizer.vocab_size)
    assert all(torch.equal(found.induction[name], expected[name]) for name in expected)
    for vocabulary, text in ((PAIRS, "abc"), (LABELLED, "one two")):
        run = make_run(vocabulary, transformer())
        found = findings(run, read_passage(run, text))
        assert (found.induction, found.predictions, found.costs) == (None, (), None)


def test_python_has_the_findings_of_the_command():
    run = make_run(TEXTS, transformer())
    found, expected = attention(run, TEXT).findings, inspect_text(run, TEXT).findings
    assert found.predictions == expected.predictions
    assert all(
        torch.equal(found.induction[name], expected.induction[name]) for name in expected.induction
    )
    assert attention(make_run(PAIRS, transformer()), "abc").findings.predictions == ()
    with pytest.raises(UserError, match="text is a list: a run reads a string"):
        attention(run, [TEXT])


@pytest.fixture
def measured(tmp_path):
    """A run with head_importance.json, and a function that changes the file."""
    checkpoint = tmp_path / "checkpoints" / "best.ckpt"
    run = dataclasses.replace(make_run(TEXTS, transformer()), path=checkpoint)
    assert run.folder == tmp_path
    values = {
        "checkpoint": "best.ckpt",
        "step": 9000,
        "split": "val",
        "metric": "loss",
        "with_all_heads": 2.0,
        "without": [
            {"attention": "decoder.layers.0.self", "head": 1, "loss": 2.5},
            {"attention": "decoder.layers.1.self", "head": 0, "loss": 1.9},
        ],
    }

    def change(**changes):
        text = json.dumps({**values, **changes})
        (tmp_path / "head_importance.json").write_text(text, encoding="utf-8")

    change()
    return run, change


COSTS = {
    ("decoder.layers.0.self", 1): pytest.approx(0.25),
    ("decoder.layers.1.self", 0): pytest.approx(-0.05),
}


def test_the_importance_of_heads_is_read_if_it_was_measured(measured):
    run, change = measured
    assert head_costs(run) == HeadCosts("loss", "val", COSTS)
    accuracy = [{"attention": "a", "head": 0, "accuracy": 0.4}]
    change(metric="accuracy", with_all_heads=0.5, without=accuracy)
    assert head_costs(run).without == {("a", 0): pytest.approx(0.2)}  # worse is above 0
    # Of another checkpoint, or of the same one before the training went on.
    change(checkpoint="last.ckpt")
    assert head_costs(run) is None
    change(step=8000)
    assert head_costs(run) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"with_all_heads": 0},
        {"with_all_heads": "much"},
        {"with_all_heads": 10**400},
        {"metric": ["loss"]},
        {"metric": "bleu"},
        {"split": 7},
        {"without": 3},
        {"without": [{"attention": "a"}]},
        {"without": [{"attention": "a", "head": float("inf"), "loss": 1}]},
        {"without": [{"attention": "a", "head": 0, "loss": float("nan")}]},
        {"crc32": "00000000"},
    ],
)
def test_a_file_that_is_no_measurement_is_named_and_left_out(measured, changes):
    run, change = measured
    change(**changes)
    with pytest.raises(UserError, match=r"head_importance.json .*: run minitx importance again"):
        head_costs(run)
    if "split" in changes:
        maps = inspect_text(run, TEXT)
        assert maps.findings.costs is None
        (note,) = maps.about["notes"]
        assert "head_importance.json" in note
