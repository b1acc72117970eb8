"""Test the Python API of a trained run, on one small old run of each objective."""

import json
import logging
from pathlib import Path

import pytest

import minitx
from minitx.errors import UserError
from minitx.tasks.run import Run

OLD = Path(__file__).resolve().parents[1] / "old_runs"
CORPORA = {
    "language_modeling": "play.txt",
    "sequence_to_sequence": "pairs.tsv",
    "classification": "labels.jsonl",
}


@pytest.fixture(scope="module")
def runs():
    return {name: minitx.load(OLD / name) for name in CORPORA}


def test_generate_does_what_the_script_does(runs, script):
    run = runs["language_modeling"]
    text = run.generate("the sea", length=12, seed=3)
    assert text.startswith("the sea")
    assert text == run.generate("the sea", length=12, seed=3)
    words = [f"run={OLD / 'language_modeling'}", "prompt=the sea", "length=12", "seed=3"]
    assert script("generate", *words).out == f"{text}\n"
    greedy = {run.generate("the sea", length=12, temperature=0, seed=seed) for seed in (1, 2)}
    assert len(greedy) == 1


def test_translate_does_what_the_script_does(runs, script):
    run, texts = runs["sequence_to_sequence"], ["1 7", "2 0 5"]
    outputs = run.translate(texts)
    assert outputs == [run.translate(text) for text in texts]
    words = [f"run={OLD / 'sequence_to_sequence'}", "text=2 0 5"]
    assert script("translate", *words).out == f"{outputs[1]}\n"
    assert len(run.translate("1 7", beam=1, min_length=4, max_length=4).split()) == 4
    assert run.config.decoding.max_length is None  # the run's own settings stay


def test_predict_does_what_the_script_does(runs, script, tmp_path):
    run, texts = runs["classification"], ["the old saw", "a pear"]
    answers = run.predict(texts)
    for text, answer in zip(texts, answers, strict=True):
        # A batch of another shape adds up in another order: about 1e-7 of each logit.
        assert run.predict(text) == pytest.approx(answer, abs=1e-5)
        assert set(answer) == set(run.vocabulary.labels)
        assert sum(answer.values()) == pytest.approx(1)
        assert list(answer.values()) == sorted(answer.values(), reverse=True)
    source, target = tmp_path / "texts.txt", tmp_path / "labels.jsonl"
    source.write_text("\n".join(texts), encoding="utf-8")
    words = [f"run={OLD / 'classification'}", f"input={source}", f"output={target}"]
    assert script("predict", *words).status == 0
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [list(line["probabilities"]) for line in lines] == [list(each) for each in answers]


@pytest.mark.parametrize("name", CORPORA)
def test_evaluate_measures_a_split_and_writes_nothing(name, runs):
    before = {path: path.stat().st_mtime_ns for path in (OLD / name).rglob("*")}
    found = runs[name].evaluate("test", path=str(OLD / CORPORA[name])).metrics
    summary = json.loads((OLD / name / "summary.json").read_text(encoding="utf-8"))["metrics"]
    shared = {key for key in found if f"test/{key}" in summary}
    assert shared
    for key in shared:
        assert found[key] == pytest.approx(summary[f"test/{key}"], rel=1e-5, abs=1e-6)
    assert {path: path.stat().st_mtime_ns for path in (OLD / name).rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "method", "instead"),
    [
        ("sequence_to_sequence", "generate", "translate"),
        ("classification", "translate", "predict"),
        ("language_modeling", "predict", "generate"),
    ],
)
def test_a_method_for_another_objective_names_the_one_that_fits(name, method, instead, runs):
    with pytest.raises(UserError) as caught:
        getattr(runs[name], method)("one two")
    message = str(caught.value)
    assert f"call run.{instead}(...)" in message
    assert "\n" not in message
    assert "scripts/" not in message


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_refused(text, runs):
    for name, method in (("sequence_to_sequence", "translate"), ("classification", "predict")):
        with pytest.raises(UserError, match="the text is empty"):
            getattr(runs[name], method)(["one", text])
    with pytest.raises(UserError, match="the prompt is empty"):
        runs["language_modeling"].generate("")


def test_a_run_and_its_maps_are_shown_in_a_line_or_a_small_table(runs):
    run = runs["language_modeling"]
    maps = minitx.attention(run, "the sea")
    assert repr(run) == f"Run({run.title}, {str(run.path)!r})"
    assert run.title == "transformer on text, step 10"
    assert repr(maps) == "AttentionMaps(transformer on text, step 10, 2 maps)"
    for shown in (run, maps):
        html = shown._repr_html_()
        assert html.startswith(f"<table><caption>{run.title}</caption>")
        assert len(html) < 1000


def test_html_of_a_run_is_escaped(runs):
    run = runs["language_modeling"]
    odd = Run(**{**vars(run), "path": Path("<b>.ckpt")})
    assert "&lt;b&gt;.ckpt" in odd._repr_html_()


def test_dir_lists_the_public_names():
    assert dir(minitx) == [
        "AttentionMaps",
        "Run",
        "attention",
        "compose",
        "from_transformers",
        "load",
        "train",
    ]
    assert all(getattr(minitx, name) for name in dir(minitx))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = minitx.nothing


def test_training_from_python_is_quiet_and_gives_a_run_to_use(train, tmp_path):
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
    run = train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=2")
    assert not any(logger.isEnabledFor(logging.INFO) for logger in loggers)
    assert isinstance(run, minitx.Run)
    assert len(run.generate("the", length=3)) == 6


def test_composing_a_resumed_run_gives_its_own_config():
    config = minitx.compose(f"resume={OLD / 'classification'}", "trainer.max_steps=20")
    assert (config.task.name, config.model.dim) == ("labels", 16)
    assert config.trainer.max_steps == 20
    with pytest.raises(UserError, match="resume cannot change seed"):
        minitx.compose(f"resume={OLD / 'classification'}", "seed=77")
