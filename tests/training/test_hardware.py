"""Test when a run ends, and its precision."""

import functools
import time
import types
from pathlib import Path

import pytest
import torch
from run_files import checkpoint, rows, series, summary

import minitx
from minitx.errors import UserError
from minitx.models.language_model import LanguageModel
from minitx.objectives.language_modeling import LanguageModeling
from minitx.runs.vocabulary import TextVocabulary
from minitx.training import callbacks

OLD = Path(__file__).parents[1] / "old_runs"
STEEP = [
    *["optimizer=adamw", "optimizer.lr=1", "optimizer.warmup_steps=0"],
    "optimizer.schedule=constant",
]


@pytest.fixture
def clock(monkeypatch):
    """The clock of training goes on by a second whenever somebody looks at it."""
    now = [1000.0]

    def monotonic():
        now[0] += 1.0
        return now[0]

    clocks = types.SimpleNamespace(monotonic=monotonic, process_time=time.process_time)
    monkeypatch.setattr(callbacks, "time", clocks)
    return now


@pytest.mark.parametrize("accumulate", [1, 2])
def test_time_ends_a_run_with_a_validation_and_a_checkpoint(accumulate, train, tmp_path, clock):
    folder = tmp_path / "run"
    limits = ["trainer.max_steps=null", "trainer.max_minutes=1", "trainer.val_every=1000"]
    train(f"run.dir={folder}", *limits, f"trainer.accumulate={accumulate}")
    assert clock[0] > 1060
    step = summary(folder)["steps"]
    assert 5 < step < 60
    assert max(rows(folder)) == step
    assert list(series(folder, "val/loss")) == [step]
    assert checkpoint(folder, "last")["global_step"] == step
    assert checkpoint(folder, "best")["global_step"] == step
    assert summary(folder)["status"] == "finished"
    assert summary(folder)["tokens_seen"] == step * accumulate * 8 * 16


def test_the_learning_rate_follows_the_minutes(train, tmp_path, clock):
    limits = ["trainer.max_steps=null", "trainer.max_minutes=2"]
    rate = ["optimizer.lr=2e-3", "optimizer.warmup_steps=0", "optimizer.schedule=linear"]
    train(f"run.dir={tmp_path / 'run'}", *limits, "optimizer=adamw", *rate)
    rates = list(series(tmp_path / "run", "lr").values())
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(2e-3, rel=0.1)
    assert rates[-1] == pytest.approx(2e-4, rel=0.5)


def test_more_minutes_continue_a_run(train, tmp_path, clock):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", "trainer.max_steps=null", "trainer.max_minutes=0.5")
    before = summary(folder)
    with pytest.raises(UserError, match=r"has finished its 0.5 minutes.*trainer.max_minutes=1$"):
        train(f"resume={folder}")
    train(f"resume={folder}", "trainer.max_minutes=1")
    after = summary(folder)
    assert after["steps"] > before["steps"]
    assert after["train_seconds"] > before["train_seconds"]
    assert after["tokens_seen"] == after["steps"] * 8 * 16
    assert list(rows(folder)) == list(range(1, after["steps"] + 1))


def test_the_nearer_limit_counts(train, tmp_path, clock):
    train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=7", "trainer.max_minutes=60")
    assert summary(tmp_path / "run")["steps"] == 7


@pytest.mark.parametrize("steps", [3, 7, 10])
def test_a_run_ends_with_a_validation(steps, train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", f"trainer.max_steps={steps}")
    expected = [step for step in (5, 10) if step < steps] + [steps]
    assert list(series(tmp_path / "run", "val/loss")) == expected
    assert checkpoint(tmp_path / "run", "last")["global_step"] == steps


def test_patience_ends_a_run_that_gains_nothing(train, tmp_path):
    folder = tmp_path / "run"
    run = train(f"run.dir={folder}", *STEEP, "trainer.max_steps=1000", "trainer.patience=2")
    losses = series(folder, "val/loss")
    assert summary(folder)["steps"] == max(losses) < 1000
    assert run.step == min(losses, key=losses.get)
    assert max(losses) == run.step + 2 * 5
    with pytest.raises(UserError, match=r"2 validations without improvement.*trainer.patience=4$"):
        train(f"resume={folder}")
    train(f"resume={folder}", "trainer.patience=4")
    assert summary(folder)["steps"] >= max(losses) + 10


def test_patience_survives_a_power_cut(train, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    patient = [*STEEP, "trainer.max_steps=1000", "trainer.patience=2"]
    train(f"run.dir={whole}", *patient)
    end, training_step = summary(whole)["steps"], LanguageModeling.training_step

    def step(self, batch, batch_idx):
        if self.trainer.global_step == end - 3:
            raise InterruptedError
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModeling, "training_step", step)
    with pytest.raises(InterruptedError):
        train(f"run.dir={parts}", *patient)
    monkeypatch.undo()
    train(f"resume={parts}")
    assert rows(parts) == rows(whole)


def test_bf16_mixed_is_near_float32(train, tmp_path):
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        folder = tmp_path / precision
        train(f"run.dir={folder}", f"trainer.precision={precision}", "trainer.max_steps=20")
        losses[precision] = summary(folder)["metrics"]["val/loss"]
        kept = checkpoint(folder, "last")["state_dict"]
        assert {t.dtype for t in kept.values() if t.is_floating_point()} == {torch.float32}
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], abs=0.02)
    assert losses["bf16-mixed"] != losses["32-true"]


def test_a_compiled_run_has_the_same_checkpoint(train, tmp_path, monkeypatch):
    """Torch traces the model here but generates no code for it, which would take a minute."""
    compile_it = functools.partialmethod(torch.nn.Module.compile, backend="eager")
    monkeypatch.setattr(LanguageModel, "compile", compile_it)
    plain, compiled = tmp_path / "plain", tmp_path / "compiled"
    model = ["trainer.max_steps=2", "model.position=none"]
    train(f"run.dir={plain}", *model)
    train(f"run.dir={compiled}", *model, "trainer.compile=true")
    one, other = (checkpoint(folder, "last")["state_dict"] for folder in (plain, compiled))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name])
    assert summary(compiled)["metrics"] == pytest.approx(summary(plain)["metrics"], rel=1e-4)
    assert minitx.load(compiled).step == 2
    train(f"resume={compiled}", "trainer.compile=false", "trainer.max_steps=3")


def test_a_budget_sets_the_width(train, tmp_path):
    counts = {}
    for model in ("transformer", "lstm"):
        folder = tmp_path / model
        run = train(f"run.dir={folder}", f"model={model}", "budget.parameters=20000")
        counts[model] = summary(folder)["parameters"]
        assert counts[model] == pytest.approx(20000, rel=0.02)
        assert counts[model] == sum(p.numel() for p in set(run.model.parameters()))
        assert run.config.model.dim != 16
        again = minitx.load(folder / "checkpoints" / "last.ckpt")
        assert again.config.model == run.config.model


def test_a_loss_that_is_not_finite_ends_a_run_in_one_line(train, tmp_path):
    wild = ["optimizer=adamw", "optimizer.lr=1e30", "optimizer.warmup_steps=0"]
    with pytest.raises(UserError, match=r"not finite at step 5: lower optimizer.lr"):
        train(f"run.dir={tmp_path / 'run'}", *wild)
    assert summary(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("limits", "next_word"),
    [
        (["trainer.max_steps=10"], "trainer.max_steps=20"),
        (["trainer.max_minutes=0.001", "trainer.max_steps=null"], "trainer.max_minutes=0.002"),
    ],
)
def test_the_suggested_command_continues_a_run(limits, next_word, tiny, script, tmp_path):
    answer = script("train", *tiny, f"run.dir={tmp_path / 'run'}", *limits)
    assert answer.status == 0, answer.err
    assert f"scripts/train.py resume={tmp_path / 'run'} {next_word}" in answer.out


@pytest.mark.parametrize("size", [10**9, 10**12, 2**63 - 1])
def test_a_batch_that_no_memory_can_hold_is_refused_before_anything_is_written(
    size, train, tmp_path
):
    with pytest.raises(
        UserError, match=rf"^data.batch_size={size}: a batch needs at least [\d,]+ GB"
    ):
        train(f"run.dir={tmp_path / 'run'}", f"data.batch_size={size}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("must be at most 1000000", ["gated_linear", f"model.state_dim={10**18}"]),
        ("must be at most 1000$", ["mingru", f"model.expansion={2**62}"]),
        ("must be at most 1000$", ["gated_deltanet", "model.convolution=1001"]),
        ("the model needs [0-9,.]+ GB", ["mamba2", "model.state_dim=1000000", "model.dim=4096"]),
        ("the model needs [0-9,.]+ GB", ["minlstm", "model.expansion=1000", "model.dim=65536"]),
        ("heads=1000000000 does not divide", ["gated_linear", "model.heads=1000000000"]),
        (
            "data.batch_size=8: a batch needs at least",
            ["gated_linear", "model.state_dim=100000", "model.context=100000"],
        ),
    ],
)
def test_a_mixer_that_no_memory_can_hold_is_refused_before_anything_is_written(
    said, words, train, tmp_path
):
    with pytest.raises(UserError, match=said):
        train(f"run.dir={tmp_path / 'run'}", f"model.mixer={words[0]}", *words[1:])
    assert not (tmp_path / "run").exists()


FAILURES = pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
    ids=lambda failure: type(failure).__name__,
)


@FAILURES
def test_memory_that_does_not_suffice_before_training_leaves_nothing(
    failure, train, tmp_path, monkeypatch
):
    def build(self, config):
        raise failure

    monkeypatch.setattr(TextVocabulary, "build", build)
    with pytest.raises(UserError, match=r"^not enough memory: reduce the batch"):
        train(f"run.dir={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


@FAILURES
def test_memory_that_does_not_suffice_for_a_command_is_one_line(failure, script, monkeypatch):
    def build(self, config):
        raise failure

    monkeypatch.setattr(TextVocabulary, "build", build)
    answer = script("generate", f"run={OLD / 'language_modeling'}")
    error = "error: not enough memory: ask for less at once"
    assert (answer.status, answer.err.splitlines()[-1]) == (1, error)


@FAILURES
def test_a_run_that_needs_too_much_memory_ends_in_one_line(failure, train, tmp_path, monkeypatch):
    def step(self, batch, batch_idx):
        raise failure

    monkeypatch.setattr(LanguageModeling, "training_step", step)
    with pytest.raises(UserError, match=r"^not enough memory: "):
        train(f"run.dir={tmp_path / 'run'}")
    assert summary(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        *((name, "use trainer.strategy=ddp") for name in ("ddp_spawn", "ddp_fork", "ddp_notebook")),
        ("single_tpu", "missing"),
        ("zzz", "invalid strategy name"),
        ("", "invalid strategy name"),
    ],
)
def test_a_strategy_that_cannot_train_is_refused(strategy, said, train, tmp_path):
    with pytest.raises(UserError, match=rf"trainer.strategy={strategy}[ ,].*{said}"):
        train(f"run.dir={tmp_path / 'run'}", f"trainer.strategy={strategy}")
    assert not (tmp_path / "run").exists()
