"""Test that a stopped and resumed run equals an uninterrupted one, bit for bit."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from run_files import OVERFITTING, assert_same, checkpoint, files, rows, series, summary

from minitx.config.compose import read_config
from minitx.data.module import StepDataModule
from minitx.errors import UserError
from minitx.objectives.language_modeling import LanguageModeling
from minitx.training.checkpoints import CheckpointFiles

# Everything that draws random numbers or changes with time.
RANDOM = ["model.dropout=0.1", "optimizer.warmup_steps=4", "trainer.max_steps=15", "seed=3"]


@pytest.fixture
def during_step(monkeypatch):
    """Lets something happen in the middle of a training step: `during_step(7, action)`."""

    def during_step(number, action):
        training_step, done = LanguageModeling.training_step, []

        def step(self, batch, batch_idx):
            if self.trainer.global_step == number - 1 and not done:
                done.append(number)
                action()
            return training_step(self, batch, batch_idx)

        monkeypatch.setattr(LanguageModeling, "training_step", step)

    return during_step


def interrupt():
    signal.raise_signal(signal.SIGINT)  # handled before it returns, unlike one from os.kill


def terminate():
    signal.raise_signal(signal.SIGTERM)


class PowerCut(Exception):
    pass


def power_cut():
    raise PowerCut


def stop(train, during_step, folder, step, *overrides):
    """Starts a run and interrupts it in the middle of a step, or resumes one and does."""
    during_step(step, interrupt)
    where = f"resume={folder}" if folder.exists() else f"run.dir={folder}"
    with pytest.raises(UserError, match=f"stopped at step {step}, .* resume={folder}$"):
        train(where, *overrides)


def portable(kept, folder):
    """A checkpoint without what must differ: times, the folder's name."""
    kept["callbacks"]["Clock"] = kept["callbacks"]["Clock"]["tokens"]
    kept["hyper_parameters"]["config"]["run"] = None
    for state in kept["callbacks"].values():
        if isinstance(state, dict) and "dirpath" in state:
            for name, value in state.items():
                state[name] = str(value).replace(str(folder), "FOLDER")
    # Lightning's own counters of batches begin anew with each part; ours depend on the step.
    del kept["loops"]
    return kept


def assert_same_run(one, other):
    assert rows(one) == rows(other)
    assert files(one) == files(other)
    for name in ("last", "best"):
        assert_same(portable(checkpoint(one, name), one), portable(checkpoint(other, name), other))
    facts = [summary(folder, timed=False) for folder in (one, other)]
    assert facts[0] == facts[1]


# Each pair of the first three choices occurs.
VARIANTS = {
    "muon": ["optimizer=muon"],
    "muon, 2 workers, accumulate 2": ["data.workers=2", "trainer.accumulate=2"],
    "adamw, 2 workers": ["optimizer=adamw", "data.workers=2"],
    "adamw, accumulate 2": ["optimizer=adamw", "trainer.accumulate=2"],
    "lstm": ["model=lstm", "model.layers=2"],
    "linear decay": ["optimizer.schedule=linear"],
    "bf16": ["trainer.precision=bf16-mixed"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_resumes_exactly(variant, train, during_step, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *RANDOM, *VARIANTS[variant])
    stop(train, during_step, parts, 7, *RANDOM, *VARIANTS[variant])
    assert summary(parts)["status"] == "interrupted"
    assert summary(parts)["steps"] == 7
    run = train(f"resume={parts}")
    assert list(rows(parts)) == list(range(1, 16))
    assert_same_run(parts, whole)
    assert summary(parts)["status"] == "finished"
    assert run.config.resume is None


@pytest.mark.parametrize("step", [1, 5, 14, 15])
def test_a_run_interrupted_at_any_step_resumes_exactly(step, train, during_step, tmp_path):
    """Also in the first step, before a validation, and in the last: none is left out."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *RANDOM)
    if step < 15:
        stop(train, during_step, parts, step, *RANDOM)
        train(f"resume={parts}")
    else:  # a validation and the end come first
        during_step(step, interrupt)
        train(f"run.dir={parts}", *RANDOM)
    assert_same_run(parts, whole)


def test_a_run_interrupted_three_times_resumes_exactly(train, during_step, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *RANDOM)
    stop(train, during_step, parts, 3, *RANDOM)
    stop(train, during_step, parts, 4)
    stop(train, during_step, parts, 12)
    train(f"resume={parts}")
    assert_same_run(parts, whole)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_killed_resumes_from_its_last_checkpoint(
    accumulate, train, during_step, tmp_path
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    many = [*RANDOM, f"trainer.accumulate={accumulate}"]
    train(f"run.dir={whole}", *many)
    during_step(8, power_cut)
    with pytest.raises(PowerCut):
        train(f"run.dir={parts}", *many)
    assert list(rows(parts)) == list(range(1, 8))  # steps 6 and 7 are to be done again
    assert checkpoint(parts, "last")["global_step"] == 5
    assert summary(parts)["status"] == "failed"
    train(f"resume={parts}")
    assert_same_run(parts, whole)


def test_a_run_killed_before_its_first_checkpoint_starts_again(train, during_step, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *RANDOM)
    during_step(3, power_cut)
    with pytest.raises(PowerCut):
        train(f"run.dir={parts}", *RANDOM)
    train(f"resume={parts}")
    assert_same_run(parts, whole)


@pytest.mark.parametrize(
    "limit",
    [
        ["trainer.max_steps=10"],
        ["trainer.max_steps=null", "trainer.max_minutes=0.0001"],
        ["trainer.patience=1", "trainer.max_steps=100", *OVERFITTING],
    ],
    ids=["steps", "minutes", "patience"],
)
def test_a_run_killed_while_it_was_tested_is_only_tested(limit, train, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(StepDataModule, "test_dataloader", lambda data: power_cut())
        with pytest.raises(PowerCut):
            train(f"run.dir={folder}", *limit)
    before, table = checkpoint(folder, "last"), rows(folder)
    monkeypatch.setattr(LanguageModeling, "training_step", lambda *_: power_cut())
    train(f"resume={folder}")
    assert summary(folder)["status"] == "finished"
    assert summary(folder)["steps"] == before["global_step"]
    assert summary(folder)["tokens_seen"] == before["callbacks"]["Clock"]["tokens"]
    assert_same(checkpoint(folder, "last"), before)
    last = max(table)
    measured = {name: value for name, value in rows(folder)[last].items() if "test/" in name}
    assert measured
    assert rows(folder) == table | {last: table[last] | measured}
    assert summary(folder)["metrics"].items() >= measured.items()


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """The folder of a run that has finished; tests copy it."""
    return train(f"run.dir={tmp_path_factory.mktemp('trained') / 'run'}").folder


@pytest.fixture
def finished_run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_finished_run_without_its_checkpoint_is_not_started_again(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").unlink()
    table = rows(tmp_path / "run")
    with pytest.raises(UserError, match=r"has finished, but there is no checkpoints/last\.ckpt"):
        train(f"resume={tmp_path / 'run'}")
    assert rows(tmp_path / "run") == table


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text.replace('"finished"', '"running"'), "damaged, or was changed"),
        (lambda text: text.replace('"steps": 10', '"steps": 11'), "damaged, or was changed"),
        (lambda text: text[:-20], "cannot be read"),
        (lambda text: "[]", "not a JSON object"),
    ],
    ids=["another status", "another number", "truncated", "a list"],
)
@pytest.mark.parametrize("lost", [None, "last.ckpt"])
def test_a_damaged_summary_does_not_decide_whether_a_run_has_finished(
    lost, damage, says, finished_run, script
):
    if lost is not None:
        (finished_run / "checkpoints" / lost).unlink()
    path = finished_run / "summary.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    before = {each: each.read_bytes() for each in finished_run.rglob("*") if each.is_file()}
    answer = script("train", f"resume={finished_run}")
    assert answer.status == 1
    (line,) = [each for each in answer.err.splitlines() if each.startswith("error: ")]
    assert line.startswith(f"error: {path} cannot be read (")
    assert says in line
    assert line.endswith(": delete it to go on without it")
    after = {each: each.read_bytes() for each in finished_run.rglob("*") if each.is_file()}
    assert after == before


def test_a_finished_run_without_its_summary_is_measured_again(finished_run, train):
    path = finished_run / "summary.json"
    before = summary(finished_run, timed=False)
    path.unlink()
    train(f"resume={finished_run}")
    assert summary(finished_run, timed=False) == before


@pytest.mark.parametrize("name", ["kept", "best", "last"])
def test_a_run_killed_after_any_checkpoint_resumes_exactly(name, train, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    many = [*RANDOM, "trainer.average=2", "trainer.average_of=last"]
    train(f"run.dir={whole}", *many)
    save, saved = CheckpointFiles.save_checkpoint, []

    def killed(io, state, path, *args, **settings):
        save(io, state, path, *args, **settings)
        saved.append(Path(path).stem.partition("-")[0])
        if saved.count(name) == 2:  # at step 10
            power_cut()

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFiles, "save_checkpoint", killed)
        with pytest.raises(PowerCut):
            train(f"run.dir={parts}", *many)
    train(f"resume={parts}")
    assert_same_run(parts, whole)


def test_a_row_is_written_before_the_checkpoint_of_its_step(train, tmp_path, monkeypatch):
    """A run that is killed right after its checkpoint continues after this row."""
    save = CheckpointFiles.save_checkpoint
    monkeypatch.setattr(
        CheckpointFiles, "save_checkpoint", lambda *args, **_: (save(*args), power_cut())
    )
    with pytest.raises(PowerCut):
        train(f"run.dir={tmp_path / 'run'}")
    assert "val/loss" in rows(tmp_path / "run")[5]


def test_a_checkpoint_is_never_seen_in_part(train, tmp_path, monkeypatch):
    """Also if the temporary folder is on another file system, from where a file is copied."""
    replaced = []
    replace = os.replace

    def watch(source, target):
        replaced.append((Path(source), Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    train(f"run.dir={tmp_path / 'run'}")
    checkpoints = [pair for pair in replaced if pair[1].suffix == ".ckpt"]
    assert {target.name for _, target in checkpoints} == {"best.ckpt", "last.ckpt"}
    assert all(source.parent == target.parent for source, target in checkpoints)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2], ids=["SIGTERM", "SIGUSR2"])
def test_a_signal_stops_like_ctrl_c_and_handlers_are_given_back(
    number, train, during_step, tmp_path
):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
    handlers = [signal.getsignal(number) for number in signals]
    during_step(6, lambda: signal.raise_signal(number))
    with pytest.raises(UserError, match="stopped at step 6,"):
        train(f"run.dir={tmp_path / 'run'}")
    assert [signal.getsignal(number) for number in signals] == handlers
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 6


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("train_dataloader", "stopped before its first checkpoint; to start again: minitx train"),
        ("test_dataloader", "stopped after its last step; to measure it: minitx train"),
    ],
)
def test_sigterm_before_and_after_the_steps_ends_the_run_at_once(
    loader, said, train, tmp_path, monkeypatch
):
    """Processes that train together would otherwise wait for each other for ever."""
    with monkeypatch.context() as patch:
        patch.setattr(StepDataModule, loader, lambda data: terminate())
        with pytest.raises(UserError, match=f"{said} resume={tmp_path / 'run'}$"):
            train(f"run.dir={tmp_path / 'run'}")
    assert summary(tmp_path / "run")["status"] == "interrupted"
    train(f"resume={tmp_path / 'run'}")
    assert summary(tmp_path / "run")["status"] == "finished"
    assert "test/loss" in summary(tmp_path / "run")["metrics"]


def test_a_closed_terminal_stops_the_run_unless_nohup_started_it(train, during_step, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started the tests
    try:
        during_step(6, lambda: signal.raise_signal(signal.SIGHUP))
        with pytest.raises(UserError, match="stopped at step 6,"):
            train(f"run.dir={tmp_path / 'run'}")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        during_step(8, lambda: signal.raise_signal(signal.SIGHUP))
        train(f"resume={tmp_path / 'run'}")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert summary(tmp_path / "run")["status"] == "finished"


def test_a_second_sigterm_does_not_wait_and_names_what_is_kept(train, during_step, tmp_path):
    during_step(8, lambda: (terminate(), terminate()))
    with pytest.raises(UserError, match="stopped at step 7, its last checkpoint is of step 5;"):
        train(f"run.dir={tmp_path / 'run'}")
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 5


def test_a_second_ctrl_c_does_not_wait(train, during_step, tmp_path):
    during_step(6, lambda: (interrupt(), interrupt()))
    with pytest.raises(UserError, match="stopped at step 5, nothing is lost; to go on: "):
        train(f"run.dir={tmp_path / 'run'}")
    assert summary(tmp_path / "run")["status"] == "interrupted"
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 5


def test_resuming_a_finished_run_is_an_error(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with pytest.raises(UserError, match=r"has finished its 10 steps.*trainer.max_steps=20"):
        train(f"resume={tmp_path / 'run'}")
    after = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    assert after == before


def test_a_finished_run_can_be_trained_longer(train, tmp_path):
    """With a constant learning rate it is even the run that was longer from the beginning."""
    constant = [*RANDOM, "optimizer.schedule=constant"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *constant)
    train(f"run.dir={parts}", *constant, "trainer.max_steps=8")
    assert set(rows(parts)) == set(range(1, 9))
    run = train(f"resume={parts}", "trainer.max_steps=15")
    assert run.config.trainer.max_steps == 15
    table = rows(parts)
    assert {name for name in table[8] if "val/" in name}  # the end of the first part was measured
    table[8] = rows(whole)[8]
    assert table == rows(whole)
    one, other = checkpoint(parts, "last"), checkpoint(whole, "last")
    assert_same(one["state_dict"], other["state_dict"])
    assert_same(one["optimizer_states"], other["optimizer_states"])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed=9", "seed (1 in the run, 9 asked for)"),
        ("model.dim=32", "model.dim (16 in the run, 32 asked for)"),
        ("model=lstm", "model (transformer in the run, lstm asked for)"),
        ("optimizer=adamw", "optimizer (muon in the run, adamw asked for)"),
        ("task=shakespeare", "task (text in the run, shakespeare asked for)"),
        ("data.batch_size=9", "data.batch_size (8 in the run, 9 asked for)"),
        ("optimizer.lr=1", "optimizer.lr (0.003 in the run, 1.0 asked for)"),
        ("+seed=9", "seed (1 in the run, 9 asked for)"),
        ("++seed=9", "seed (1 in the run, 9 asked for)"),
        ("experiment=plain", "experiment"),
    ],
)
def test_a_changed_run_is_refused(override, says, script, train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=5")
    longer = "trainer.max_steps=10"
    answer = script("train", f"resume={tmp_path / 'run'}", longer, override)
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert says in answer.err or override == "+seed=9"
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 5


def test_what_is_repeated_with_resume_is_no_change(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", "seed=7", "trainer.max_steps=5")
    same = ["seed=7", "model=transformer", "model.dim=16", "optimizer=muon", "task=text"]
    run = train(f"resume={tmp_path / 'run'}", "trainer.max_steps=6", *same)
    assert (run.step, run.config.seed, run.config.model.layers) == (6, 7, 1)


def test_the_tracker_may_change(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", "logger=tensorboard", "trainer.max_steps=5")
    run = train(f"resume={tmp_path / 'run'}", "logger=csv", "trainer.max_steps=10")
    assert run.config.logger.name == "csv"
    assert list(rows(tmp_path / "run")) == list(range(1, 11))


def test_a_folder_that_was_moved_keeps_its_best(train, tmp_path):
    """The model becomes worse after its best validation, before it is moved and afterwards."""
    run = train(f"run.dir={tmp_path / 'run'}", *OVERFITTING, "trainer.max_steps=35")
    assert run.step < 35, "choose another share"
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    run = train(f"resume={moved}", "trainer.max_steps=40")
    losses = series(moved, "val/loss")
    assert run.step == min(losses, key=losses.get) < 40
    assert run.path == moved / "checkpoints" / "best.ckpt"
    assert checkpoint(moved, "last")["global_step"] == 40
    assert not (tmp_path / "run").exists()


def test_a_changed_corpus_is_refused(train, tmp_path, text_file):
    """Also where its characters, and with them the tokenizer, are the same."""
    own = tmp_path / "own.txt"
    own.write_text(text_file.read_text(encoding="utf-8"), encoding="utf-8")
    train(f"run.dir={tmp_path / 'run'}", f"data.path={own}", "trainer.max_steps=5")
    own.write_text(own.read_text(encoding="utf-8")[::-1], encoding="utf-8")
    with pytest.raises(UserError, match="corpus"):
        train(f"resume={tmp_path / 'run'}", "trainer.max_steps=10")


def test_a_corpus_that_was_moved_is_found_by_its_new_path(train, tmp_path, text_file):
    own, moved = tmp_path / "own.txt", tmp_path / "moved.txt"
    own.write_text(text_file.read_text(encoding="utf-8"), encoding="utf-8")
    train(f"run.dir={tmp_path / 'run'}", f"data.path={own}", "trainer.max_steps=5")
    own.rename(moved)
    run = train(f"resume={tmp_path / 'run'}", f"data.path={moved}", "trainer.max_steps=10")
    assert (run.step, run.config.data.path) == (10, str(moved))


def test_samples_after_the_checkpoint_are_written_again(train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=5")
    samples = tmp_path / "run" / "samples.txt"
    kept = samples.read_text(encoding="utf-8")
    samples.write_text(f"{kept}--- step 10 ---\nof a run that was killed\n\n", encoding="utf-8")
    train(f"resume={tmp_path / 'run'}", "trainer.max_steps=10")
    text = samples.read_text(encoding="utf-8")
    assert text.startswith(kept)
    assert text.count("--- step 10 ---") == 1
    assert "killed" not in text


def test_samples_and_metrics_of_other_steps_stay(train, during_step, tmp_path):
    stop(train, during_step, tmp_path / "run", 7)
    train(f"resume={tmp_path / 'run'}")
    text = (tmp_path / "run" / "samples.txt").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("--- step ")]
    assert headings == ["--- step 5 ---", "--- step 10 ---"]


def test_a_shortened_warm_up_stays_when_a_run_is_resumed(train, tmp_path, capsys):
    """config.yaml and the checkpoint hold it, and more steps do not lengthen it again."""
    folder = tmp_path / "run"
    words = ["optimizer.warmup_steps=100", "optimizer.schedule=constant", "trainer.max_steps=10"]
    run = train(f"run.dir={folder}", *words)
    assert "it is 1 in this run" in capsys.readouterr().err
    assert run.config.optimizer.warmup_steps == 1
    assert read_config(folder / "config.yaml").optimizer.warmup_steps == 1
    rate = run.config.optimizer.lr
    assert series(folder, "lr")[1] == pytest.approx(rate, rel=0.05)
    longer = train(f"resume={folder}", "trainer.max_steps=15")
    assert "in this run" not in capsys.readouterr().err
    assert longer.config.optimizer.warmup_steps == 1
    assert max(series(folder, "lr")) == 15
