"""Test runs on associative recall: training, resuming, measuring by distance, and inspection."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from run_files import series, summary
from stopping import assert_resumes_exactly
from torch import nn

import minitx
from minitx.config.schema import DecodingConfig
from minitx.data.batching.recall import FIRST_VALUE, VALUES
from minitx.data.batching.windows import IGNORE
from minitx.errors import UserError
from minitx.tasks.open import open_task
from minitx.tasks.recall import RecallTask

RECALL = ["task=recall", "data.path=null", "task.pairs=2", "data.batch_size=16"]
MIXED = [*RECALL, "task.pairs=4", "data.batch_size=15"]
LEARNING = [
    *["model.dim=32", "optimizer.lr=1e-2", "optimizer.muon_lr=0.01"],
    *["trainer.max_steps=200", "trainer.val_every=100"],
]


class LooksBack(nn.Module):
    """Finds where the token before stood first, and names what followed it."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, tokens):
        first = (tokens[:, :, None] == tokens[:, None]).int().argmax(dim=2)  # (B, T)
        following = tokens.gather(1, (first + 1).clamp(max=tokens.size(1) - 1))
        return F.one_hot(following, self.vocab_size).float() + self.nothing, None


@pytest.fixture(scope="module", params=["transformer", "lstm", "average"])
def finished(request, train, tmp_path_factory):
    """A run of attention, of a recurrence, and of a mixer that is neither."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    mixer = ["model.mixer=average", "model.position=learned"]
    model = mixer if request.param == "average" else [f"model={request.param}"]
    return train(*RECALL, *LEARNING, *model, f"run.dir={folder}"), folder


def test_it_learns_and_its_figures_are_of_the_queries(finished):
    run, folder = finished
    inputs, targets = open_task(run.config).store.split("test").tensors
    with torch.no_grad():
        logits, _ = run.model(inputs)
    asked = targets != IGNORE
    assert asked.sum() == 2 * len(inputs)
    found = summary(folder)["metrics"]
    right = logits[asked].argmax(dim=-1) == targets[asked]
    assert found["test/accuracy"] == pytest.approx(float(right.float().mean()))
    loss = float(F.cross_entropy(logits[asked], targets[asked]))
    assert found["test/loss"] == pytest.approx(loss, rel=1e-4)
    assert found["test/accuracy"] > 10 / VALUES
    assert "test/bits_per_byte" not in found


def test_answers_are_those_that_were_scored(finished):
    run, folder = finished
    task = open_task(run.config)
    assert isinstance(task, RecallTask)
    distance, right = task.answers(run.model, "test", 2)
    assert (distance.dtype, right.dtype) == (np.int64, bool)
    assert distance.shape == right.shape == (2 * len(task.store.split("test")),)
    accuracy = summary(folder)["metrics"]["test/accuracy"]
    assert right.mean() == pytest.approx(accuracy)
    evaluation = task.evaluate(run.model, "test", DecodingConfig())
    assert evaluation.metrics["accuracy"] == pytest.approx(accuracy)
    assert "bits_per_byte" not in evaluation.metrics


def test_a_model_that_looks_back_is_always_right():
    task = open_task(minitx.compose("task=recall", "task.pairs=4", "model.context=32"))
    assert isinstance(task, RecallTask)
    model = LooksBack(task.store.tokenizer.vocab_size)
    for split in task.store.splits:
        assert task.evaluate(model, split, DecodingConfig()).metrics["accuracy"] == 1.0
        for pairs in (4, 2):
            distance, right = task.answers(model, split, pairs)
            assert right.all()
            assert set(distance) == set(range(2, 32))


def test_training_sees_the_mean_over_the_queries_of_a_step(train, tmp_path):
    """Also where the batches of two passes make a step."""
    for passes in (1, 2):
        folder = tmp_path / str(passes)
        words = [f"trainer.accumulate={passes}", "trainer.max_steps=1", f"run.dir={folder}"]
        run = train(*MIXED, *words)
        task = open_task(run.config)
        torch.manual_seed(run.config.seed)
        model = task.vocabulary.build(run.config.model)
        batches = task.data().training_batches(0, 1)
        inputs, targets, _ = map(torch.cat, zip(*(batches[i] for i in range(passes)), strict=True))
        with torch.no_grad():
            logits, _ = model(inputs)
        expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        assert series(folder, "train/loss")[1] == pytest.approx(float(expected), rel=1e-5)


def test_the_mean_over_devices_is_that_over_all_queries():
    """Though one device has sequences of four pairs only, and another of two."""
    task = open_task(minitx.compose("task=recall", "task.pairs=4", "data.batch_size=12"))
    torch.manual_seed(0)
    objective = task.objective(task.vocabulary.build(task.config.model), lambda: 0.0)
    data = task.data()
    shares = [data.training_batches(rank, 2)[0] for rank in range(2)]
    assert [int((targets != IGNORE).sum()) for _, targets, _ in shares] == [6 * 4, 6 * 2]
    mean = sum(objective.loss(share) for share in shares) / 2
    torch.testing.assert_close(mean, objective.loss(data.training_batches(0, 1)[0]))


@pytest.mark.parametrize("words", [[], ["model=lstm", "data.workers=2"]], ids=" ".join)
def test_an_interrupted_run_resumes_exactly(words, train, monkeypatch, tmp_path):
    assert_resumes_exactly(train, monkeypatch, tmp_path, 10, *RECALL, *words)


def test_a_run_cannot_continue_with_other_pairs(train, tmp_path):
    folder = tmp_path / "run"
    train(*RECALL, f"run.dir={folder}")
    with pytest.raises(UserError, match=r"resume cannot change task\.pairs"):
        train(f"resume={folder}", "task.pairs=3")


def test_every_seed_is_tested_on_the_same(train, tmp_path):
    runs = [train(*RECALL, f"seed={seed}", f"run.dir={tmp_path / str(seed)}") for seed in (1, 2)]
    assert runs[0].data_fingerprint == runs[1].data_fingerprint


def test_scripts_work_on_it(finished, script, tmp_path):
    _, folder = finished
    answer = script("evaluate", f"run={folder}", "split=test")
    assert answer.status == 0, answer.err
    assert f"{summary(folder)['metrics']['test/accuracy']:.4f}" in answer.out
    answer = script("generate", f"run={folder}", "prompt=k3 v7 k3", "length=5", "temperature=0")
    assert answer.status == 0, answer.err
    words = answer.out.split()
    assert words[:3] == ["k3", "v7", "k3"]
    assert len(words) == 8
    words = [f"run={folder}", "text=k3 v7 k5 v2 k3", f"dir={tmp_path}"]
    answer = script("inspect_attention", *words)
    assert answer.status == 0, answer.err


def test_samples_show_answers_next_to_the_right_ones(finished):
    _, folder = finished
    text = (folder / "samples.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "->" in line]
    assert len(lines) == 2 * 2  # of the first sequence of val, at two validations
    for line in lines:
        query, _, answer, right = line.split()
        assert query[0] == "k"
        assert right.startswith("(v")
        assert answer
    assert lines[0].split()[3] == lines[2].split()[3]


@pytest.mark.parametrize(("context", "pairs"), [(4, 1), (16, 2), (64, 8), (128, 16), (260, 32)])
def test_there_is_a_pair_for_every_eight_tokens_if_no_number_is_given(context, pairs):
    words = ["task=recall", "task.pairs=null", f"model.context={context}"]
    store = open_task(minitx.compose(*words)).store
    assert (store.pairs, store.context) == (pairs, context)
    same = open_task(minitx.compose("task=recall", f"task.pairs={pairs}", words[2])).store
    assert same.fingerprint == store.fingerprint


def test_the_watched_text_queries_every_key_it_names():
    for pairs, context, named in ((2, 16, 2), (16, 128, 10)):
        task = open_task(
            minitx.compose("task=recall", f"task.pairs={pairs}", f"model.context={context}")
        )
        words = task.example().split()
        assert len(words) == 3 * named <= context
        assert words[: 2 * named : 2] == words[2 * named :]
        first = task.store.split("val")[0][0][: 2 * named].tolist()
        assert task.store.tokenizer.encode(" ".join(words[: 2 * named])) == first
        assert [token >= FIRST_VALUE for token in first] == [False, True] * named
