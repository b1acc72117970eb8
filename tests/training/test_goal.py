"""Test runs that end when their headline measure on val reaches `trainer.goal`."""

import pytest
from run_files import assert_same, checkpoint, rows, series, summary
from stopping import assert_same_run, stop

import minitx
from minitx.config.schema import TrainerConfig
from minitx.data.module import StepDataModule
from minitx.errors import UserError
from minitx.objectives.base import Objective
from minitx.study.plan.run_store import run_key
from minitx.training.checks import check_limits
from minitx.training.limits import ended_by, longer

RECALL = [
    *["task=recall", "data.path=null", "task.pairs=1", "data.batch_size=32", "model.dim=32"],
    *["optimizer.lr=0.03", "optimizer.muon_lr=0.02", "optimizer.warmup_steps=0"],
]
LONG = ["trainer.max_steps=60"]
LABELS = [
    *["task=labels", "data.batch_size=null", "data.batch_tokens=200", "data.tokenizer=word"],
    *["optimizer.lr=0.03", "optimizer.warmup_steps=0", "trainer.val_every=5"],
]


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Texts whose words tell their label."""
    path = tmp_path_factory.mktemp("labels") / "labels.tsv"
    kinds = {"good": "fine sweet kind", "bad": "sour harsh cold"}
    lines = [
        f"{label}\t{' '.join(words.split()[: 1 + i % 3])} {i}"
        for i in range(60)
        for label, words in kinds.items()
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return [*LABELS, f"data.path={path}"]


def reached_at(folder, name, goal, sign):
    """The first step whose measure reaches the goal: `sign` is 1 if higher values are better."""
    return next(step for step, value in series(folder, name).items() if sign * (value - goal) >= 0)


def middle(folder, name):
    """A value that a run reaches halfway, and not by chance of rounding."""
    values = list(series(folder, name).values())
    return (min(values) + max(values)) / 2


@pytest.mark.parametrize(
    ("words", "name", "sign"),
    [([], "val/bits_per_byte", -1), (RECALL, "val/accuracy", 1), ("labels", "val/accuracy", 1)],
    ids=["language modelling", "recall", "classification"],
)
def test_a_run_ends_at_the_validation_that_reaches_its_goal(
    words, name, sign, train, labels, tmp_path
):
    words = labels if words == "labels" else words
    whole = train(f"run.dir={tmp_path / 'whole'}", *words, *LONG).folder
    goal = middle(whole, name)
    end = reached_at(whole, name, goal, sign)
    assert end < 60
    run = train(f"run.dir={tmp_path / 'run'}", *words, *LONG, f"trainer.goal={goal}")
    facts = summary(run.folder)
    assert (facts["status"], facts["steps"], facts["ended_by"]) == ("finished", end, "goal")
    assert summary(whole)["ended_by"] == "max_steps"
    assert series(run.folder, name) == {
        step: value for step, value in series(whole, name).items() if step <= end
    }
    assert "test/loss" in facts["metrics"]


def test_a_goal_that_is_not_reached_changes_nothing(train, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    train(f"run.dir={one}")
    train(f"run.dir={other}", "trainer.goal=0.001")
    assert rows(one) == rows(other)
    assert summary(other)["ended_by"] == "max_steps"


@pytest.mark.parametrize("step", [3, 7])
def test_an_interrupted_run_ends_at_the_same_goal(step, train, monkeypatch, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={tmp_path / 'all'}", *LONG)
    words = [*LONG, f"trainer.goal={middle(tmp_path / 'all', 'val/bits_per_byte')}"]
    train(f"run.dir={whole}", *words)
    stop(train, monkeypatch, parts, step, *words)
    assert summary(parts)["ended_by"] is None
    train(f"resume={parts}")
    assert_same_run(parts, whole)


def power_cut():
    raise InterruptedError


def test_a_run_killed_while_it_was_tested_is_only_tested(train, tmp_path, monkeypatch):
    folder, words = tmp_path / "run", [*LONG, "trainer.goal=100"]  # any model has fewer bits
    with monkeypatch.context() as patch:
        patch.setattr(StepDataModule, "test_dataloader", lambda data: power_cut())
        with pytest.raises(InterruptedError):
            train(f"run.dir={folder}", *words)
    before = checkpoint(folder, "last")
    assert before["global_step"] == 5
    monkeypatch.setattr(Objective, "training_step", lambda *_: power_cut())
    train(f"resume={folder}")
    assert (summary(folder)["steps"], summary(folder)["ended_by"]) == (5, "goal")
    assert_same(checkpoint(folder, "last"), before)


def test_a_run_that_reached_its_goal_continues_without_it(train, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    train(f"run.dir={whole}")
    train(f"run.dir={folder}", "trainer.goal=100")
    with pytest.raises(UserError, match=r"has reached its goal of 100; .* add trainer.goal=null$"):
        train(f"resume={folder}")
    train(f"resume={folder}", "trainer.goal=null")
    for name in ("train/loss", "val/loss"):
        assert series(folder, name) == series(whole, name)
    assert summary(folder)["ended_by"] == "max_steps"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["task=recall", "trainer.goal=99"], "trainer.goal=99: accuracy is at most 1"),
        (["task=trec", "trainer.goal=1.01"], "trainer.goal=1.01: accuracy is at most 1"),
        (
            ["task=cmudict", "trainer.goal=0.2"],
            "task=cmudict has no word error rate during training; use trainer.patience",
        ),
        (["task=multi30k", "trainer.goal=30"], "task=multi30k has no BLEU during training"),
    ],
)
def test_a_goal_that_no_run_can_reach_is_refused(words, error):
    with pytest.raises(UserError, match=error):
        check_limits(minitx.compose(*words))


def test_a_goal_is_above_zero():
    with pytest.raises(UserError, match=r"trainer\.goal=0\.0: it must be above 0"):
        minitx.compose("trainer.goal=0")
    check_limits(minitx.compose("trainer.goal=8"))  # bits per byte have no upper limit
    check_limits(minitx.compose("task=recall", "trainer.goal=1"))


def test_the_direction_is_that_of_the_measure():
    def ended(value, *words):
        config = minitx.compose(*words, "trainer.goal=0.5")
        return ended_by(10, {"Goal": {"value": value}, "Clock": {"elapsed": 0.0}}, config)

    assert ended(0.4, "task=shakespeare") == ended(0.5, "task=shakespeare") == "goal"
    assert ended(0.6, "task=recall") == ended(0.5, "task=recall") == "goal"
    assert ended(0.6, "task=shakespeare") is ended(0.4, "task=recall") is ended(None) is None


def test_a_run_without_a_goal_keeps_its_key_in_the_run_store():
    config = minitx.compose("task=recall")
    assert TrainerConfig().goal is None
    key = run_key(config, "corpus", "training")
    config.trainer.goal = 0.99
    assert run_key(config, "corpus", "training") != key


@pytest.mark.parametrize(
    ("ended_by", "word"),
    [
        ("max_steps", "trainer.max_steps=200"),
        ("max_minutes", "trainer.max_minutes=120"),
        ("patience", "trainer.patience=6"),
        ("goal", "trainer.goal=null"),
        (None, "trainer.max_steps=200"),
    ],
)
def test_a_run_is_trained_longer_by_raising_the_limit_that_ended_it(ended_by, word):
    limits = TrainerConfig(max_steps=100, max_minutes=60, patience=3)
    assert longer(limits, ended_by, steps=100, idle=3) == word
