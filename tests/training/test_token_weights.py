"""Test that every target has the same weight, for any number of batches and processes per step."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from example_corpora import (
    SMALL,
    labelled_texts,
    number_pairs,
    part_of_pairs,
    part_of_texts,
    write_jsonl,
    write_tsv,
)
from forked import WARM
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from run_files import files, rows, series, summary

from minitx.commands.quoting import quoted
from minitx.config.compose import compose
from minitx.data.tokenizers.sequence import BOS, EOS
from minitx.objectives.base import Objective
from minitx.tasks.open import open_task

COUNT, SMOOTHING = 300, 0.1
EXACT = [
    *SMALL,
    "model.dim=16",
    "model.layers=1",
    "trainer.precision=64-true",
    f"task.label_smoothing={SMOOTHING}",
    "seed=2",  # with which the batches of the first steps differ in their numbers of targets
]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """The command line of a small task of each objective, both in float64."""
    folder = tmp_path_factory.mktemp("corpora")
    pairs = write_tsv(folder / "numbers.tsv", number_pairs(COUNT))
    labels = write_jsonl(folder / "texts.jsonl", labelled_texts(COUNT))
    return {
        "pairs": ["task=pairs", f"data.path={pairs}", *EXACT, "data.batch_tokens=60"],
        "labels": ["task=labels", f"data.path={labels}", *EXACT, "data.batch_tokens=60"],
    }


def set_up(*words):
    """The task as a training with this command line has it."""
    GlobalHydra.instance().clear()
    return open_task(compose(*map(quoted, words)))


def model_of(task):
    """The model as a training with this config starts with it."""
    torch.manual_seed(task.config.seed)
    return task.vocabulary.build(task.config.model).double()


def nats(task, model, row):
    """The smoothed loss of one training example alone, without padding, summed."""
    split = task.store.split("train")
    if task.config.task.name == "pairs":
        source, target = ([int(i) for i in side[row]] for side in (split.source, split.target))
        inputs = torch.tensor([[*source, EOS]]), None, torch.tensor([[BOS, *target]])
        logits, targets = model(*inputs)[0], torch.tensor([*target, EOS])
    else:
        logits = model(torch.tensor([[BOS, *map(int, split.text[row])]]))
        targets = torch.tensor([task.store.labels.index(split.examples[row].label)])
    return F.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum")


def mean_over_targets(task, batches):
    """Loss and gradients of a step with these batches, an example at a time; targets in each."""
    model, split = model_of(task), task.store.split("train")
    numbers = task.data().training_batches(rank=0, world_size=1).numbers
    counts = [int(split.targets[numbers[batch]].sum()) for batch in batches]
    rows = [int(row) for batch in batches for row in numbers[batch]]
    loss = sum(nats(task, model, row) for row in rows) / sum(counts)
    loss.backward()
    return float(loss.detach()), {n: p.grad for n, p in model.named_parameters()}, counts


@pytest.fixture
def gradients(monkeypatch):
    """The gradients of every step of a run, before they are clipped."""
    steps, clip = [], Objective.configure_gradient_clipping

    def remember(self, *args, **words):
        steps.append({name: p.grad.clone() for name, p in self.model.named_parameters()})
        clip(self, *args, **words)

    monkeypatch.setattr(Objective, "configure_gradient_clipping", remember)
    return steps


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("task", ["pairs", "labels"])
def test_a_step_is_the_mean_over_its_targets(task, accumulate, train, tasks, gradients, tmp_path):
    words = [*tasks[task], f"trainer.accumulate={accumulate}", "trainer.max_steps=1"]
    train(*words, f"run.dir={tmp_path / 'run'}")
    task = set_up(*words)
    loss, expected, counts = mean_over_targets(task, range(accumulate))
    assert accumulate == 1 or len(set(counts)) > 1, "a mean of means would be the same"
    (found,) = gradients
    torch.testing.assert_close(found, expected)
    assert rows(tmp_path / "run")[1]["train/loss"] == pytest.approx(loss)
    norm = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    assert rows(tmp_path / "run")[1]["grad_norm"] == pytest.approx(float(norm))


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from(["pairs", "labels"]),
    st.integers(1, 3),  # processes
    st.integers(1, 3),  # batches of a step
    st.integers(1, 50),  # tokens of a batch; of a few, a batch is one row, and most ranks get none
    st.integers(0, 20),
)
def test_ranks_together_are_one_process(tasks, task, world, accumulate, budget, step):
    """As DDP has it: the mean over the ranks of what each adds up over its batches."""
    words = [f"data.batch_tokens={budget}", f"trainer.accumulate={accumulate}"]
    task = set_up(*tasks[task], *words)
    batches = range(step * accumulate, (step + 1) * accumulate)
    loss, expected, counts = mean_over_targets(task, batches)
    model, data = model_of(task), task.data()
    objective = task.objective(model, lambda: 0.0)
    objective._trainer = SimpleNamespace(accumulate_grad_batches=accumulate, world_size=world)
    total, seen = 0.0, set()
    for rank in range(world):
        shares = data.training_batches(rank, world)
        losses = [objective.loss(shares[batch]) / accumulate for batch in batches]
        seen.add(tuple(objective.tokens(shares[batch]) for batch in batches))
        (sum(losses) / world).backward()
        total += float(sum(losses).detach()) / world
    assert total == pytest.approx(loss)
    torch.testing.assert_close({n: p.grad for n, p in model.named_parameters()}, expected)
    (tokens,) = seen  # every rank counts what all of them saw
    if task == "pairs":
        assert list(tokens) == counts


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("task", ["pairs", "labels"])
def test_tokens_seen_are_those_of_the_file(task, accumulate, train, tasks, tmp_path):
    """Two epochs, in which each example comes twice."""
    if task == "pairs":  # words to predict, and an end
        examples = part_of_pairs(number_pairs(COUNT), "train")
        tokens = sum(len(target.split()) + 1 for _, target in examples)
    else:  # words to read, and a beginning
        examples = part_of_texts(labelled_texts(COUNT), "train")
        tokens = sum(len(text.split()) + 1 for _, text in examples)
    words = [*tasks[task], f"trainer.accumulate={accumulate}"]
    # Two epochs are a whole number of steps, be they of one batch or of two.
    batches = set_up(*words).data().describe()["batches_an_epoch"]
    steps = 2 * batches // accumulate
    train(*words, f"run.dir={tmp_path / 'run'}", f"trainer.max_steps={steps}")
    found = summary(tmp_path / "run")
    assert found["tokens_seen"] == 2 * tokens
    assert found["data"]["train_examples"] == len(examples)
    assert found["data"]["train_examples_left_out"] == 0
    assert found["data"]["batches_an_epoch"] == batches
    assert found["tokens_per_second"] == pytest.approx(2 * tokens / found["train_seconds"], rel=0.1)


def test_the_whole_training_is_counted_where_an_earlier_checkpoint_is_the_best(
    train, tasks, tmp_path
):
    """It is tested, from its file, once the training is over."""
    steep = ["optimizer.lr=1", "optimizer.schedule=constant", "optimizer.warmup_steps=0"]
    words = [*tasks["labels"], *steep, "trainer.max_steps=10"]
    run = train(*words, f"run.dir={tmp_path / 'run'}")
    assert run.step < 10, "choose another learning rate"
    task = set_up(*words)
    batches, tokens = task.data().training_batches(0, 1), task.store.split("train").tokens
    seen = sum(int(tokens[batches.numbers[i]].sum()) for i in range(10))
    found = summary(tmp_path / "run")
    assert (found["steps"], found["tokens_seen"]) == (10, seen)


TWO = """
import sys
from minitx.commands.cli import main
from minitx.data import module

module.EVALUATION_TOKENS = 200  # so that splits this small have batches for two

if __name__ == "__main__":
    main("train")
"""


@pytest.mark.long
def test_two_processes_train_as_one(train, tiny, tmp_path):
    """On a file that has pairs and labels; in batches so small that some have one row for two."""
    pairs, texts = number_pairs(COUNT), labelled_texts(COUNT)
    records = [
        {"source": source, "target": target, "label": label, "text": text}
        for (source, target), (label, text) in zip(pairs, texts, strict=True)
    ]
    path = tmp_path / "both.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    words = [*EXACT, f"data.path={path}", "data.batch_tokens=20", "decoding.beam=1"]
    script = tmp_path / "two.py"
    script.write_text(TWO, encoding="utf-8")
    hardware = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    command = [script, "-m", *tiny, *words, *hardware, "task=pairs,labels"]
    answer = WARM.run(*command, cwd=tmp_path, timeout=200)
    assert answer.returncode == 0, answer.stderr
    assert "Traceback" not in answer.stderr
    folders = [path for path in (tmp_path / "runs").iterdir() if path.name != "multirun"]
    assert len(folders) == 2
    for folder in folders:
        task = summary(folder)["task"]
        alone = tmp_path / task
        train(*words, f"task={task}", f"run.dir={alone}")
        assert files(folder) == files(alone)
        assert list(rows(folder)) == list(rows(alone))
        for name in rows(alone)[10]:
            assert series(folder, name) == pytest.approx(series(alone, name), rel=1e-6), name
        one, other = summary(folder), summary(alone)
        assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-6)
        for name in ("tokens_seen", "parameters", "steps", "status", "data_fingerprint", "data"):
            assert one[name] == other[name]
