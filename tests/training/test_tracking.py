"""Test the trackers other than metrics.csv, by reading their files."""

import json
import sys

import pytest
import wandb
from run_files import files, rows, series
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_files import read, wandb_run

from minitx.errors import UserError
from minitx.training import train as training


@pytest.fixture
def no_network(monkeypatch):
    """Whoever connects anywhere fails the test."""

    def audit(event, arguments):
        if watching and event == "socket.connect" and not isinstance(arguments[1], str):
            watching.append(arguments[1])

    watching = [True]
    sys.addaudithook(audit)
    yield
    attempts, watching[:] = [a for a in watching[1:] if not str(a[0]).startswith("127.")], []
    assert not attempts


def values(history, name):
    """Return a metric from W&B, by the step logged with it."""
    return {row["trainer/global_step"]: row[name] for row in history if name in row}


@pytest.fixture(scope="module")
def tracked(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb") / "my run"
    train(f"run.dir={folder}", "logger=wandb", "model.heads=8", "trainer.log_every=2")
    return folder


def test_offline_needs_no_key_after_wandb_was_set_up(train, tmp_path, monkeypatch):
    """As in a notebook that called W&B before."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb.teardown()
    assert not wandb.login(prompt=False)
    train(f"run.dir={tmp_path / 'run'}", "logger=wandb", "trainer.max_steps=1")
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 1


def test_wandb_holds_the_config(tracked):
    found = wandb_run(tracked)
    assert found["name"] == "my run"
    assert found["project"] == "minitx"
    assert found["exit"] == 0
    config = found["config"]
    assert config["model"]["heads"] == 8
    assert config["model"]["dim"] == 16
    assert config["optimizer"]["name"] == "muon"
    assert config["data"]["batch_size"] == 8
    assert config["seed"] == 1


def test_wandb_holds_every_metric_of_metrics_csv(tracked):
    history = wandb_run(tracked)["history"]
    for name in ("train/loss", "grad_norm", "lr", "tokens_per_second", "val/loss"):
        expected = series(tracked, name)
        assert values(history, name) == pytest.approx(expected), name
        assert len(expected) >= 2


def test_wandb_holds_one_growing_table_of_samples(tracked):
    found = wandb_run(tracked)
    samples = [row for row in found["history"] if "sample/path" in row]
    assert [(row["sample/nrows"], row["sample/ncols"]) for row in samples] == [(1, 2), (2, 2)]
    assert all(row["sample/_type"] == "table-file" for row in samples)
    # The summary, which W&B shows, has the table with all samples.
    assert found["summary"]["sample/path"] == samples[-1]["sample/path"]
    assert table(tracked, samples[0]) == table(tracked, samples[1])[:1]
    text = (tracked / "samples.txt").read_text(encoding="utf-8")
    rows = table(tracked, samples[1])
    assert [step for step, _ in rows] == [5, 10]
    assert "".join(f"--- step {step} ---\n{sample}\n\n" for step, sample in rows) == text


def table(folder, row):
    """The rows of the table that was logged in this row of the history."""
    (file,) = (folder / "wandb").glob(f"offline-run-*/files/{row['sample/path']}")
    return json.loads(file.read_text(encoding="utf-8"))["data"]


def test_all_files_of_wandb_are_in_the_run_folder(tracked):
    assert {path.parts[0] for path in map(type(tracked), files(tracked))} == {
        *["config.yaml", "metrics.csv", "metrics.crc32", "summary.json", "tokenizer.json"],
        *["samples.txt", "checkpoints", "wandb"],
    }
    assert list(tracked.parent.iterdir()) == [tracked]


def test_wandb_is_finished_after_a_run(tracked):
    assert wandb.run is None


def test_two_jobs_are_two_wandb_runs(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = script("train", "-m", *tiny, "logger=wandb", "logger.group=pair", "seed=1,2")
    assert answer.status == 0
    folders = [path for path in (tmp_path / "runs").iterdir() if path.name != "multirun"]
    found = [wandb_run(folder) for folder in folders]
    assert len({one["id"] for one in found}) == 2
    assert {one["config"]["seed"] for one in found} == {1, 2}
    assert [one["name"] for one in found] == [folder.name for folder in folders]
    assert {one["group"] for one in found} == {"pair"}
    for folder, one in zip(folders, found, strict=True):
        assert values(one["history"], "val/loss") == pytest.approx(series(folder, "val/loss"))


def test_a_failed_job_does_not_leave_its_wandb_run_open(script, tiny, tmp_path, monkeypatch):
    from minitx.objectives.language_modeling import LanguageModeling

    monkeypatch.chdir(tmp_path)
    training_step = LanguageModeling.training_step

    def step(self, batch, batch_idx):
        if self.seed == 1 and self.trainer.global_step == 3:
            raise ArithmeticError("a bug")
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModeling, "training_step", step)
    with pytest.raises(ArithmeticError):
        script("train", "-m", *tiny, "logger=wandb", "seed=1,2")
    folders = [path for path in (tmp_path / "runs").iterdir() if path.name != "multirun"]
    found = {one["config"]["seed"]: one for one in map(wandb_run, folders)}
    assert found[1]["id"] != found[2]["id"]
    assert found[1]["exit"] != 0
    assert found[2]["exit"] == 0
    assert set(values(found[1]["history"], "train/loss")) == {1, 2, 3}
    assert set(values(found[2]["history"], "train/loss")) == set(range(1, 11))


def test_a_resumed_run_keeps_its_wandb_id(train, tmp_path):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", "logger=wandb", "trainer.max_steps=5")
    first = wandb_run(folder)
    train(f"resume={folder}", "trainer.max_steps=10")
    paths = sorted(
        (folder / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda p: p.stat().st_mtime
    )
    assert len(paths) == 2
    found = [read(path) for path in paths]
    assert {one["id"] for one in found} == {first["id"]}
    assert {one["group"] for one in found} == {first["group"]}
    both = values(found[0]["history"], "val/loss") | values(found[1]["history"], "val/loss")
    assert both == pytest.approx(series(folder, "val/loss"))
    assert found[1]["summary"]["sample/nrows"] == 2  # with the sample of the first part


def test_tensorboard_holds_the_metrics(train, tmp_path):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", "logger=tensorboard")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    for name in ("train/loss", "val/loss", "lr", "grad_norm"):
        found = {event.step: event.value for event in events.Scalars(name)}
        assert found == pytest.approx(series(folder, name), rel=1e-6)
    assert not (folder / "wandb").exists()


@pytest.mark.parametrize("tracker", ["csv", "none"])
def test_metrics_csv_is_written_without_a_tracker(tracker, train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", f"logger={tracker}")
    assert list(rows(tmp_path / "run")) == list(range(1, 11))
    assert {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()} == {"checkpoints"}


def test_online_without_a_key_is_refused_first(train, tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setattr(training, "open_task", lambda config: pytest.fail("data was loaded"))
    with pytest.raises(UserError, match=r"logger.mode=online needs a W&B key.*wandb login"):
        train(f"run.dir={tmp_path / 'run'}", "logger=wandb", "logger.mode=online")
    assert not (tmp_path / "run").exists()


def test_online_with_an_invalid_key(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(UserError, match=r"logger.mode=online"):
        train(f"run.dir={tmp_path / 'run'}", "logger=wandb", "logger.mode=online")
    assert not (tmp_path / "run").exists()


def test_tensorboard_that_is_not_installed_is_named(train, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"minitx\[tensorboard\]"):
        train(f"run.dir={tmp_path / 'run'}", "logger=tensorboard")
    assert not (tmp_path / "run").exists()
