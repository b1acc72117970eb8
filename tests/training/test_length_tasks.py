"""Test runs on tasks that are tested beyond the lengths of training."""

import numpy as np
import pytest
import torch
from run_files import summary
from stopping import assert_resumes_exactly
from torch import nn

import minitx
from minitx.config.schema import DecodingConfig
from minitx.config.tasks import TASKS
from minitx.data.batching.windows import IGNORE
from minitx.tasks.lengths import PROBLEMS, LengthTask
from minitx.tasks.open import open_task

SHORT = ["data.path=null", "task.train_length=4", "task.test_lengths=[3,8]", "model.context=16"]
PARITY = ["task=parity", *SHORT]


class Counts(nn.Module):
    """Answers parity by counting, up to a position, and guesses from there on."""

    def __init__(self, right_up_to):
        super().__init__()
        self.right_up_to = right_up_to
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, tokens):
        answers = 2 + tokens.cumsum(dim=1) % 2
        answers[:, self.right_up_to :] = 2
        return nn.functional.one_hot(answers, 4).float() + self.nothing, None


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ["model=lstm", "model.dim=16", "model.layers=1", "optimizer.lr=0.03"]
    words += ["optimizer.muon_lr=0.05", "data.batch_size=32", "trainer.max_steps=200"]
    words += ["trainer.val_every=20", "trainer.goal=1", "trainer.val_tokens=null"]
    return train(*PARITY, *words, f"run.dir={folder}"), folder


def test_every_length_task_has_a_problem():
    own = {task.name for task in TASKS.values() if "task.train_length" in task.keys}
    assert own == set(PROBLEMS)
    for name in own:
        task = open_task(minitx.compose(f"task={name}"))  # with the lengths of its config file
        assert isinstance(task, LengthTask)
        assert list(task.store.chances) == [10, 20, 40, 80, 200, 500]
        widest = task.store.problem.width(500)
        assert task.config.model.context == widest
        assert task.store.tokenizer.encode(TASKS[name].example)
        words = task.example().split()
        assert 3 <= len(words) <= 32
        assert [len(text.split()) for text, _ in task.example_texts(3)] == [
            task.store.problem.width(40)
        ] * 3


def test_an_lstm_learns_short_parity_and_generalises(finished):
    _, folder = finished
    found = summary(folder)
    assert found["ended_by"] == "goal"
    assert found["metrics"]["val/exact_match"] == 1
    assert found["metrics"]["test/exact_match_at_3"] == 1
    assert found["metrics"]["test/accuracy_at_8"] > 0.9
    assert found["metrics"]["test/chance_at_8"] == 0.5


def test_a_saved_run_is_measured_as_at_its_end(finished):
    run, folder = finished
    evaluation = run.evaluate("test")
    at_the_end = {
        name.removeprefix("test/"): value
        for name, value in summary(folder)["metrics"].items()
        if name.startswith("test/")
    }
    assert evaluation.metrics == pytest.approx(at_the_end, rel=1e-4)
    assert set(run.evaluate("val").metrics) == {"loss", "perplexity", "accuracy", "exact_match"}


def test_lengths_are_scored_apart():
    task = open_task(minitx.compose("task=parity"))
    found = task.evaluate(Counts(right_up_to=40), "test", DecodingConfig())
    for length, chance in task.store.chances.items():
        exact, accuracy = (
            found.metrics[f"{name}_at_{length}"] for name in ("exact_match", "accuracy")
        )
        if length <= 40:
            assert exact == accuracy == 1
        else:
            assert exact == 0
            right = (40 + chance * (length - 40)) / length
            assert accuracy == pytest.approx(right, abs=0.01)  # of 200 sequences
    assert found.metrics["exact_match"] == pytest.approx(1 / 2)
    low, high = found.intervals["exact_match"]
    assert low < 1 / 2 < high
    exact, ones = found.items["exact_match"].T
    assert exact.sum() == 600
    assert (ones == 1).all()


def test_training_weighs_every_answer_the_same():
    """The loss is the sum over the answers of a batch by their mean number over all lengths."""
    task = open_task(minitx.compose("task=dyck", "data.batch_size=32"))
    torch.manual_seed(0)
    model = task.vocabulary.build(task.config.model)
    objective = task.objective(model, lambda: 0.0)
    batch = task.data().training_batches(0, 1)[0]
    with torch.no_grad():
        logits, _ = model(batch.inputs)
        loss = objective.loss(batch)
    nats = nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    answers = np.mean([(batch.targets != IGNORE).sum() / 32 for batch in _batches(task, 100)])
    assert float(loss) == pytest.approx(float(nats) / 32 / answers, rel=0.03)
    shares = [task.data().training_batches(rank, 2)[0] for rank in range(2)]
    with torch.no_grad():
        mean = sum(objective.loss(share) for share in shares) / 2
    torch.testing.assert_close(mean, loss)


def _batches(task, count):
    batches = task.data().training_batches(0, 1)
    return [batches[number] for number in range(count)]


def test_an_interrupted_run_resumes_exactly(train, monkeypatch, tmp_path):
    assert_resumes_exactly(train, monkeypatch, tmp_path, 10, *PARITY)


def test_scripts_work_on_it(finished, script):
    _, folder = finished
    answer = script("evaluate", f"run={folder}", "split=test")
    assert answer.status == 0, answer.err
    metrics = summary(folder)["metrics"]
    line = next(each for each in answer.out.splitlines() if each.split("│")[1:2] == [f"{8:>15} "])
    assert f"{metrics['test/accuracy_at_8']:.4f}" in line
    assert "0.5000" in line  # the chance level
    assert "odd" in (folder / "samples.txt").read_text(encoding="utf-8")
