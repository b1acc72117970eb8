"""Test what W&B has of a run, by reading its offline record back."""

import hashlib
import json
import resource
import sys
from base64 import b64encode
from copy import deepcopy
from pathlib import Path

import pytest
import wandb
from run_files import OVERFITTING, series, summary
from tiny_runs import compose
from wandb.sdk import wandb_setup
from wandb_files import wandb_run

import minitx
from minitx.config.tasks import TASKS
from minitx.training import trackers, wandb_runs
from minitx.training.wandb_runs import best_values, group_of_seeds, recorded, tags, wandb_id


@pytest.fixture(scope="module")
def tracked(train, tmp_path_factory):
    """A run whose best loss is not its last one."""
    folder = tmp_path_factory.mktemp("wandb") / "run"
    words = [*OVERFITTING, "trainer.max_steps=60", "trainer.val_every=10", "trainer.log_every=20"]
    train(f"run.dir={folder}", "logger=wandb", "logger.tags=[mine]", *words)
    return folder


@pytest.fixture(scope="module")
def found(tracked):
    return wandb_run(tracked)


def test_the_config_has_size_versions_and_origin(tracked, found):
    facts = summary(tracked)
    for name in ("parameters", "parameters_non_embedding", "data_fingerprint", "versions"):
        assert found["config"][name] == facts[name]
    assert set(found["config"]["versions"]) >= {"python", "torch", "lightning", "minitx"}
    assert found["config"].get("git_commit") == facts["git_commit"]


def test_the_summary_has_memory_time_and_status(tracked, found):
    figures = summary(tracked)
    for name in ("status", "ended_by", "steps", "train_seconds", "peak_memory_mb", "threads"):
        assert found["summary"][name] == figures[name], name
    assert found["summary"]["status"] == "finished"
    assert found["summary"]["peak_memory_mb"] > 10
    for name, value in figures["metrics"].items():
        shown = name if name.startswith("test/") else f"best/{name}"
        assert found["summary"][shown] == pytest.approx(value)
    assert {"best/val/loss", "test/loss"} <= set(found["summary"])


def test_the_loss_on_val_is_shown_at_its_minimum(tracked, found):
    losses = series(tracked, "val/loss")
    assert min(losses.values()) < losses[60]
    for name in ("val/loss", "val/bits_per_byte"):
        assert found["metrics"][name] == ["min"]
        lowest = min(series(tracked, name).values())
        assert found["summary"][name] == {"min": pytest.approx(lowest)}
    assert found["summary"]["train/loss"] == pytest.approx(series(tracked, "train/loss")[60])


def test_the_headline_of_each_task_is_shown_at_its_best():
    config = compose("task=recall")
    for config.task.name, task in TASKS.items():
        best = best_values(config)
        assert best.pop("val/loss") == "min"
        expected = {"bits_per_byte": "min", "accuracy": "max", "exact_match": "max"}.get(
            task.headline
        )
        assert best == ({f"val/{task.headline}": expected} if expected else {}), task


def test_tags_job_type_and_group(tracked, found):
    assert found["tags"] == ["text", "language modelling", "transformer", "attention", "mine"]
    assert found["job_type"] == "train"
    assert found["group"].startswith("text_transformer_")
    assert minitx.load(tracked).config.logger.group == found["group"]


def test_tags_of_other_models():
    assert tags(compose("task=genre", "model=lstm")) == ["genre", "classification", "lstm"]
    hybrid = compose("task=cmudict", "model.mixer=[attention,average]", "model.position=learned")
    assert tags(hybrid)[2:] == ["transformer", "attention", "average"]
    long = compose("task=recall", f"logger.tags=[{'t' * 70}]")
    assert tags(long)[-1] == "t" * 64


def test_a_group_has_the_runs_that_differ_only_in_their_seed():
    config = compose("task=shakespeare")

    def group(key, value, fingerprint="f"):
        group, _, name = key.rpartition(".")
        other = deepcopy(config)
        setattr(getattr(other, group) if group else other, name, value)
        return group_of_seeds(other, fingerprint)

    usual = group_of_seeds(config, "f")
    assert usual.startswith("shakespeare_transformer_")
    for key, value in {"seed": 2, "run.dir": "a", "data.dir": "b", "logger.project": "c"}.items():
        assert group(key, value) == usual, key
    others = {"model.heads": 2, "optimizer.lr": 0.1, "trainer.max_steps": 5, "data.batch_size": 2}
    names = [group(key, value) for key, value in others.items()]
    assert len({usual, group("seed", 1, fingerprint="g"), *names}) == len(others) + 2


def test_the_model_is_an_artifact_with_its_card(tracked, found):
    (model,) = [each for each in found["artifacts"] if each.type == "model"]
    assert (model.name, "best" in model.aliases) == (f"model-{found['id']}", True)
    files = {each.path: Path(each.local_path) for each in model.manifest.contents}
    assert set(files) == {"model.ckpt", "README.md"}
    assert files["model.ckpt"] == (tracked / "checkpoints" / "best.ckpt").resolve()
    for each in model.manifest.contents:  # nothing is copied, and the record says what it was
        assert tracked.resolve() in files[each.path].parents
        content = files[each.path].read_bytes()
        assert each.size == len(content)
        assert each.digest == b64encode(hashlib.md5(content).digest()).decode()
    figures = summary(tracked)
    card = files["README.md"].read_text(encoding="utf-8")
    assert card.startswith("# transformer on text\n")
    assert f"| parameters | {figures['parameters']:,} |" in card
    assert f"| test/loss | {figures['metrics']['test/loss']:.4f} |" in card
    assert json.loads(model.metadata)["metrics"] == pytest.approx(figures["metrics"])
    assert minitx.load(files["model.ckpt"]).generate("the", length=5)


def test_only_trained_models_of_bounded_size_are_artifacts(train, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wandb_runs, "LARGEST_MODEL", 1000)
    train(f"run.dir={tmp_path / 'large'}", "logger=wandb", "trainer.max_steps=1")
    assert "best.ckpt is larger than 1 GiB, so the model is not in it" in capsys.readouterr().err
    monkeypatch.undo()
    train(
        f"run.dir={tmp_path / 'tune'}",
        "logger=wandb",
        "trainer.max_steps=1",
        "logger.job_type=tune",
    )
    for name in ("large", "tune"):
        found = wandb_run(tmp_path / name)
        assert found["exit"] == 0
        assert not [each for each in found["artifacts"] if each.type == "model"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes exist on Linux")
@pytest.mark.parametrize("room", [0, 20_000])
def test_an_offline_file_that_cannot_be_written_is_one_line(
    room, train, tmp_path, capfd, monkeypatch
):
    """W&B's own process drops what it cannot write, and says so to nobody."""
    monkeypatch.setattr(wandb_runs, "WRITING", 1.0)
    wandb.teardown()
    start = wandb_runs.start

    def limited(*args):
        logger = start(*args)
        process = wandb_setup.singleton()._connection._proc._process
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        return logger

    monkeypatch.setattr(wandb_runs, "start", limited)
    folder = tmp_path / "run"
    try:
        train(f"run.dir={folder}", "logger=wandb", "trainer.max_steps=40", "trainer.val_every=20")
    finally:
        trackers.disconnect_wandb()
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("W&B")]
    (record,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    assert said == [
        f"W&B failed ({record.resolve()} was not written to its end; is the disk full?): the run "
        f"goes on without it; {folder / 'metrics.csv'} has every metric"
    ]
    assert (summary(folder)["status"], summary(folder)["steps"]) == ("finished", 40)


def test_a_record_that_is_cut_off_is_noticed(tracked, tmp_path):
    (file,) = tracked.glob("wandb/offline-run-*/run-*.wandb")
    whole = file.read_bytes()
    assert recorded(file)
    part = tmp_path / "part.wandb"
    assert not recorded(part)
    for size in (0, 3, 7, 12, 1000, len(whole) // 2, len(whole) - 1):
        part.write_bytes(whole[:size])
        assert not recorded(part), size
    part.write_bytes(whole[:100] + bytes(len(whole) - 100))
    assert not recorded(part)
    part.write_bytes(b"another format")  # of a later W&B
    assert recorded(part)


def test_a_run_of_a_sweep_has_the_id_of_its_agent(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agent1")
    assert wandb_id(tmp_path / "alone") != "agent1"  # or several runs would be one
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    assert wandb_id(tmp_path / "run") == "agent1"
    monkeypatch.setenv("WANDB_RUN_ID", "agent2")
    assert wandb_id(tmp_path / "run") == "agent1"
