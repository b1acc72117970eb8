"""Test classification: every kind of model learns, and its folder has all files."""

from functools import cache, partial
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from example_corpora import (
    SIGNS,
    SMALL,
    labelled_texts,
    majority,
    part_of_texts,
    write_jsonl,
    write_tsv,
)
from run_files import checkpoint, columns, files, rows, series, summary
from stopping import RANDOM, assert_resumes_exactly, assert_same_run

import minitx
from minitx.config.compose import read_config
from minitx.data.corpora import labels as label_corpora
from minitx.data.corpora.labels import LabelCorpus, genre
from minitx.data.tokenizers.sequence import BOS
from minitx.errors import UserError
from minitx.tasks import classification
from minitx.tasks.open import open_task

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
COUNT = 1000
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def corpus():
    return labelled_texts(COUNT)


@pytest.fixture(scope="module")
def texts(corpus, tmp_path_factory):
    """The command line of a run on texts with labels."""
    path = write_jsonl(tmp_path_factory.mktemp("labels") / "texts.jsonl", corpus)
    return ["task=labels", f"data.path={path}", *SMALL, "data.batch_tokens=300", "model.dim=32"]


KINDS = {
    "transformer": [],
    "lstm": ["model=lstm"],
    "gru in place of attention": ["model.mixer=gru"],
    "none": ["model.mixer=none"],
    "the first position": ["model.pooling=first", "optimizer=muon"],
}
LEARNING = ["trainer.max_steps=40", "trainer.val_every=10", "trainer.log_every=10"]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def finished(request, train, texts, tmp_path_factory):
    """A finished run of each kind, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(*texts, f"run.dir={folder}", *LEARNING, *KINDS[request.param]), folder


def test_it_learns_more_than_which_label_is_frequent(finished, corpus):
    _, folder = finished
    first, *_, last = series(folder, "val/loss").values()
    assert last < first
    train, *held_out = (
        [label for label, _ in part_of_texts(corpus, split)] for split in ("train", "val", "test")
    )
    for split, labels in zip(("val", "test"), held_out, strict=True):
        assert 0.4 < majority(train, labels) < 0.7
        found = summary(folder)["metrics"][f"{split}/accuracy"]
        assert found > majority(train, labels) + 0.2


def test_validation_is_the_mean_over_every_text(finished, corpus):
    """Computed by hand, a text at a time, without padding."""
    run, folder = finished
    nats = right = 0
    examples = part_of_texts(corpus, "val")
    for label, text in examples:
        with torch.no_grad():
            logits = run.model(torch.tensor([[BOS, *run.tokenizer.encode(text)]]))[0]
        number = run.vocabulary.labels.index(label)
        nats += float(F.cross_entropy(logits, torch.tensor(number)))
        right += int(logits.argmax()) == number
    found = summary(folder)["metrics"]
    assert found["val/loss"] == pytest.approx(nats / len(examples), rel=1e-5)
    assert found["val/accuracy"] == pytest.approx(right / len(examples))


def test_the_folder_holds_these_files_and_no_others(finished):
    run, folder = finished
    assert files(folder) == {
        "config.yaml",
        "metrics.csv",
        "metrics.crc32",
        "summary.json",
        "tokenizer.json",
        "confusion_test.png",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    assert (folder / "confusion_test.png").read_bytes().startswith(PNG)
    saved = (folder / "tokenizer.json").read_text(encoding="utf-8")
    assert saved == run.tokenizer.to_json()


def test_metrics_have_these_names(finished):
    _, folder = finished
    training = ["train/loss", "grad_norm", "lr", "tokens_per_second"]
    val, test = (
        [f"{split}/{name}" for name in ("loss", "accuracy", "macro_f1")]
        for split in ("val", "test")
    )
    assert columns(folder) == ["step", *training, *val, "tokens_seen", "train_seconds", *test]
    assert list(rows(folder)) == [10, 20, 30, 40]
    assert set(summary(folder)["metrics"]) == {*val, *test}
    assert (summary(folder)["task"], summary(folder)["status"]) == ("labels", "finished")


@pytest.mark.parametrize("finished", ["transformer", "lstm"], indirect=True)
def test_a_checkpoint_alone_is_enough(finished, tmp_path, corpus):
    run, folder = finished
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((folder / "checkpoints" / "best.ckpt").read_bytes())
    assert torch.load(lone, weights_only=True)["hyper_parameters"]["labels"] == sorted(SIGNS)
    opened = minitx.load(lone)
    assert opened.vocabulary.labels == tuple(sorted(SIGNS))
    assert not opened.model.training
    tokens = torch.tensor([[BOS, *opened.tokenizer.encode(corpus[0][1])]])
    assert torch.equal(opened.model(tokens), run.model(tokens))


@pytest.mark.parametrize("finished", ["lstm"], indirect=True)
def test_the_config_alone_repeats_the_run(finished, tmp_path):
    _, folder = finished
    config = read_config(folder / "config.yaml")
    config.run.dir = str(tmp_path / "again")
    minitx.train(config)
    assert_same_run(tmp_path / "again", folder)


@pytest.mark.parametrize("batch_tokens", [20, 100_000])
def test_figures_of_a_split_do_not_depend_on_its_batches(
    batch_tokens, finished, monkeypatch, corpus
):
    run, folder = finished
    monkeypatch.setattr(classification, "EVALUATION_TOKENS", batch_tokens)
    found = open_task(run.config).evaluate(run.model, "test", run.config.decoding)
    metrics = summary(folder)["metrics"]
    for name in ("loss", "accuracy", "macro_f1"):
        assert found.metrics[name] == pytest.approx(metrics[f"test/{name}"], rel=1e-5, abs=1e-6)
    examples = part_of_texts(corpus, "test")
    assert [(line["label"], line["text"]) for line in found.outputs] == examples


FEW = ["model.dim=16", "trainer.max_steps=6", "trainer.val_every=3"]


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.precision=bf16-mixed", "model=lstm", "model.bidirectional=false"],
        ["trainer.precision=64-true", "task.label_smoothing=0.2"],
        ["data.tokenizer=char", "model.context=128", "data.batch_tokens=1000"],
        ["model.context=64", "data.tokenizer=bpe", "data.vocab_size=270"],
        ["data.workers=2", "trainer.accumulate=2"],
    ],
    ids=lambda words: ", ".join(words[-2:]),
)
def test_what_can_be_chosen_runs(words, train, texts, tmp_path):
    train(*texts, f"run.dir={tmp_path / 'run'}", *FEW, *words)
    first, last = series(tmp_path / "run", "val/loss").values()
    assert last < first + 0.05
    assert 0 < summary(tmp_path / "run")["metrics"]["test/macro_f1"] <= 1


VARIANTS = {
    "two batches a step": ["optimizer=muon", "trainer.accumulate=2", "model=lstm", "model.dim=16"],
    "an average": ["optimizer.ema=0.9"],
    "the last averaged": ["trainer.average=2", "trainer.average_of=last", "optimizer.ema=0.5"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_resumes_exactly(variant, train, texts, monkeypatch, tmp_path):
    words = [*texts, *FEW, *RANDOM, *VARIANTS[variant]]
    assert_resumes_exactly(train, monkeypatch, tmp_path, 12, *words)


def test_a_resumed_run_drops_its_average(train, texts, tmp_path):
    """Its figures are those of the checkpoint that it opens, whatever the average has been."""
    folder = tmp_path / "run"
    steep = ["optimizer.lr=1", "optimizer.schedule=constant", "data.batch_tokens=60"]
    words = [*texts, *steep, "trainer.max_steps=12", "trainer.val_every=4", "trainer.average=3"]
    run = train(*words, f"run.dir={folder}")
    average = series(folder, "averaged/loss")[12]
    assert run.path == folder / "checkpoints" / "averaged.ckpt"
    assert summary(folder)["metrics"]["val/loss"] == average
    run = train(f"resume={folder}", "trainer.max_steps=16", "trainer.average=null")
    assert not (folder / "checkpoints" / "averaged.ckpt").exists()
    losses = series(folder, "val/loss")
    assert run.step == min(losses, key=losses.get)
    assert losses[run.step] > average, "choose another learning rate"
    assert summary(folder)["metrics"]["val/loss"] == losses[run.step]
    found = open_task(run.config).evaluate(run.model, "val", run.config.decoding)
    assert found.metrics["loss"] == pytest.approx(losses[run.step], rel=1e-5)


def test_a_label_that_was_added_is_another_corpus(train, corpus, tmp_path):
    path = write_tsv(tmp_path / "texts.tsv", corpus)
    words = ["task=labels", f"data.path={path}", *SMALL, "data.batch_tokens=300", *FEW]
    train(*words, f"run.dir={tmp_path / 'run'}")
    assert len(checkpoint(tmp_path / "run", "last")["hyper_parameters"]["labels"]) == 3
    write_tsv(path, [*corpus, *(("weather", f"rain on day {n}") for n in range(30))])
    with pytest.raises(UserError, match="corpus"):
        train(f"resume={tmp_path / 'run'}", "trainer.max_steps=12")


def test_two_labels_are_enough_and_one_may_be_missing_from_a_split(train, tmp_path, capsys):
    """Of a label with one example, val and test have none, and metrics are finite all the same.

    The user is warned before the first step.
    """
    records = [("yes" if n % 3 else "no", f"number {n} of them") for n in range(200)]
    rare = next(n for n in range(200) if records[n] in part_of_texts(records, "train"))
    records[rare] = ("perhaps", records[rare][1])
    for part in ("val", "test"):
        assert "perhaps" not in {label for label, _ in part_of_texts(records, part)}
    path = write_tsv(tmp_path / "texts.tsv", records)
    words = ["task=labels", f"data.path={path}", *SMALL, "data.batch_tokens=300", *FEW]
    run = train(*words, f"run.dir={tmp_path / 'run'}")
    said = capsys.readouterr().err.partition("examples to train on")[0]
    assert f"warning: 1 of 3 labels in {path} has a single example: 'perhaps', " in said
    assert f"with the text {records[rare][1]!r}. The label is read from the first column" in said
    assert run.vocabulary.labels == ("no", "perhaps", "yes")
    found = summary(tmp_path / "run")["metrics"]
    assert 0 <= found["test/macro_f1"] <= found["test/accuracy"] + 1e-6 <= 1 + 1e-6
    evaluation = open_task(run.config).evaluate(run.model, "test", run.config.decoding)
    assert evaluation.confusion[1].sum() == 0
    assert evaluation.metrics["macro_f1"] == pytest.approx(found["test/macro_f1"], abs=1e-6)


def baseline(run, split):
    """The share of a split that is right for whoever says train's most frequent label."""
    store = open_task(run.config).store
    train, labels = (store.split(name).labels.tolist() for name in ("train", split))
    return majority(train, labels)


PUBLISHED = {
    "genre": (["data.batch_tokens=2000", "model.mixer=none"], 60, 0.03),
    "sst2": ([f"data.dir={DATA}", "model.context=64"], 30, 0.1),
    "trec": ([f"data.dir={DATA}", "model.context=64"], 20, 0.1),
}


@pytest.fixture
def thin(monkeypatch):
    """Lets the task have a quarter of the speeches: to tokenise all of them takes seconds."""

    @cache
    def part():
        corpus = genre()
        splits = {s: partial(islice, list(corpus.splits[s]()), 0, None, 4) for s in corpus.splits}
        return LabelCorpus(corpus.name, splits, corpus.labels)

    monkeypatch.setattr(label_corpora, "genre", part)


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_corpora_are_learned_from(task, train, thin, tmp_path):
    """A few steps are better than the most frequent label."""
    words, steps, margin = PUBLISHED[task]
    if task != "genre" and not (DATA / task).is_dir():
        pytest.skip(f"{task} is not in {DATA}")
    model = ["model.dim=32", "optimizer=adamw", "optimizer.lr=0.01", "optimizer.warmup_steps=10"]
    if task == "genre":
        model += ["model.context=1024", "data.vocab_size=2000"]
    end = [f"trainer.max_steps={steps}", f"trainer.val_every={steps // 2}"]
    folder, common = tmp_path / "run", ["data.batch_size=null", "data.path=null"]
    run = train(f"task={task}", *common, *model, *end, *words, f"run.dir={folder}")
    metrics = summary(folder)["metrics"]
    for split in ("val", "test"):
        assert metrics[f"{split}/accuracy"] > baseline(run, split) + margin
    assert len(run.vocabulary.labels) == {"genre": 6, "sst2": 2, "trec": 6}[task]
