"""Test studies from the command line: which runs are trained or reused, and which are errors."""

import json
import time
import zlib
from pathlib import Path

import pytest
import torch
from forked import WARM
from own_studies import MINE, WHOLE, write_study

from minitx.errors import StoppedByUser
from minitx.objectives.base import Objective
from minitx.runs.atomic_write import write_checked_json
from minitx.study.plan.manifest import read_manifest
from minitx.study.plan.run_store import MEASURED, RunStore
from minitx.study.report.rules.plan import changes_of
from minitx.study.results.collecting import open_study
from minitx.study.run import compare as study_runner
from minitx.study.run import job, launching

ROOT = Path(__file__).parents[3]


ONE_RUN_EACH = {"sweep": {"optimizer.muon_lr": [0.01]}, "quick": {"seeds": [1]}}


def trainings(monkeypatch):
    """Counts the runs that are trained from now on."""
    begun, train = [], job.train

    def counted(config, **how):
        begun.append(config.run.dir)
        return train(config, **how)

    monkeypatch.setattr(job, "train", counted)
    return begun


@pytest.mark.long
def test_a_study_trains_chooses_tests_and_reports_and_then_trains_no_more(compare, monkeypatch):
    begun = trainings(monkeypatch)
    answer = compare()
    assert answer.status == 0, answer.err
    assert len(begun) == 2 * (2 + 2)  # two rates with a seed of the sweep, the better with two more
    for name in ("report.md", "report.html", "runs.csv", "study.json"):
        assert Path("study", name).is_file()
    results = open_study("study")
    runs = results.runs
    assert set(runs["status"]) == {"finished"}
    for arm in ("transformer", "lstm"):
        of_arm = runs[runs["arm"] == arm]
        swept = of_arm[of_arm["swept"]]
        best = swept.loc[swept["val/loss"].idxmin(), "optimizer.muon_lr"]
        chosen = of_arm[of_arm["chosen"]]
        assert set(swept["seed"]) == {0}
        assert not (of_arm["swept"] & of_arm["chosen"]).any()
        assert set(chosen["optimizer.muon_lr"]) == {best}
        assert sorted(chosen["seed"]) == [1, 2]
        # Test is looked at with the chosen rate alone.
        assert chosen["test/bits_per_byte"].notna().all()
        assert of_arm[~of_arm["chosen"]]["test/bits_per_byte"].isna().all()
        # The items' sums are the figure that they are the items of.
        for key, value in zip(chosen["key"], chosen["test/bits_per_byte"], strict=True):
            assert results.measure.of(results.items[key]) == pytest.approx(value)
            assert len(results.clusters[key]) == len(results.items[key])
        for folder in map(Path, chosen["folder"]):
            found = json.loads((folder / "measured/test.json").read_text(encoding="utf-8"))
            checksum = zlib.crc32((folder / "measured/items.npz").read_bytes())
            assert found["files"] == {"items.npz": f"{checksum:08x}"}
    sizes = runs["parameters"]
    assert sizes.max() <= 1.02 * sizes.min()
    report = Path("study/report.md").read_text(encoding="utf-8")
    assert "transformer" in report
    assert "lstm" in report
    assert "minitx compare --config-dir files study=mine" in report

    begun.clear()
    assert compare().status == 0
    assert compare("report_only=true").status == 0
    assert begun == []


def test_studies_share_their_runs(compare, monkeypatch):
    begun = trainings(monkeypatch)
    assert compare(arms={"lstm": ["model=lstm"]}, match=False).status == 0
    first = len(begun)
    other = {"arms": {"mine": ["model=lstm"]}, "quick": {"seeds": [1, 2, 3]}}
    assert compare("study.dir=other", match=False, **other).status == 0
    assert len(begun) == first + 1  # the third seed
    assert set(open_study("other").runs["arm"]) == {"mine"}


def test_a_sweep_is_widened_until_its_best_value_is_inside(compare, monkeypatch):
    begun = trainings(monkeypatch)
    sweep = {"optimizer.muon_lr": [0.0001, 0.0002]}  # in ten steps, a larger rate learns more
    study = {"arms": {"lstm": ["model=lstm"]}, "sweep": sweep, "full": {"seeds": [1]}}
    assert compare("preset=full", **study).status == 0
    runs = open_study("study").runs
    swept = runs[runs["swept"]]
    rates = [0.0001, 0.0002, 0.0004, 0.0008, 0.0016]
    assert list(swept["optimizer.muon_lr"]) == rates
    assert list(runs.loc[runs["chosen"], "optimizer.muon_lr"]) == [0.0016]
    assert len(begun) == 5 + 1
    report = Path("study/report.md").read_text(encoding="utf-8").replace("\\", "")
    assert "The sweep was widened by muon_lr 0.0004, 0.0008 and 0.0016" in report

    begun.clear()  # the same command finds the whole sweep again
    assert compare("preset=full", **study).status == 0
    assert compare("preset=full", "report_only=true", **study).status == 0
    assert begun == []
    assert open_study("study").runs["key"].equals(runs["key"])


def test_a_study_that_stops_while_its_sweep_is_widened_continues_it(compare, monkeypatch):
    train, begun = job.train, []

    def stopped(config, **how):
        begun.append(config.optimizer.muon_lr)
        if len(begun) == 4:
            raise StoppedByUser("stopped")
        return train(config, **how)

    sweep = {"optimizer.muon_lr": [0.0001, 0.0002]}
    study = {"arms": {"lstm": ["model=lstm"]}, "sweep": sweep, "full": {"seeds": [1]}}
    monkeypatch.setattr(job, "train", stopped)
    assert compare("preset=full", **study).status != 0
    assert list(open_study("study").runs["optimizer.muon_lr"]) == [0.0001, 0.0002, 0.0004, 0.0008]
    assert compare("preset=full", **study).status == 0
    assert begun == [0.0001, 0.0002, 0.0004, 0.0008, 0.0008, 0.0016, 0.0016]


def test_other_cores_train_seeds_while_a_sweep_is_widened(compare, monkeypatch):
    """The LSTM's loss falls with the rate, so that its sweep is widened three times.

    The RNN is left out on the command line.
    """
    store, waves = RunStore(Path("studies/runs")), []

    def launch(keys):
        runs = {run.key: run for run in read_manifest(Path("study")).runs}
        waves.append([(runs[key].point.arm, runs[key].chosen) for key in keys])
        for run in (runs[key] for key in keys):
            rate = run.swept_values["optimizer.muon_lr"]
            loss = -rate if run.point.arm == "lstm" else abs(rate - 0.02)
            summary = {"status": "finished", "steps": 10, "metrics": {"val/loss": loss}}
            store.folder(run.key).mkdir(parents=True)
            write_checked_json(store.folder(run.key) / "summary.json", summary)
            if run.chosen:
                write_checked_json(store.folder(run.key) / MEASURED, {"metrics": {}})

    monkeypatch.setattr(launching, "launch", launch)
    monkeypatch.setattr(study_runner, "collect", lambda *_: None)
    arms = {name: [f"model={name}"] for name in ("gru", "lstm", "rnn", "transformer")}
    study = {"sweep": {"optimizer.muon_lr": [0.01, 0.02, 0.04]}, "full": {"seeds": [1, 2]}}
    monkeypatch.setattr(study_runner, "_run_and_report", study_runner.run_study)  # no report
    words = ["preset=full", "~study.arms.rnn"]
    assert compare(*words, **study, arms=arms, match=False).status == 0
    assert waves == [
        [(arm, False) for arm in ("gru", "lstm", "transformer") for _ in range(3)],
        [("lstm", False), *[("gru", True)] * 2],
        [("lstm", False), *[("transformer", True)] * 2],
        [("lstm", False)],
        [("lstm", True)] * 2,
    ]
    plan = read_manifest(Path("study"))  # in the order of the arms, as without widening
    arms = [each.point.arm for each in plan.runs]
    assert arms == ["gru"] * 5 + ["lstm"] * 8 + ["transformer"] * 5
    assert changes_of(plan.command)[1] == ["study.arms.rnn"]


def test_the_same_seeds_give_the_same_figures(compare):
    assert compare("study.runs=here", **ONE_RUN_EACH).status == 0
    assert compare("study.runs=there", "study.dir=again", **ONE_RUN_EACH).status == 0
    one, other = open_study("study", "here").runs, open_study("again", "there").runs
    for name in ("key", "val/loss", "test/bits_per_byte"):
        assert one[name].equals(other[name])


def test_a_killed_study_continues_and_counts_no_partial_run(words, script, monkeypatch):
    write_study(**WHOLE | ONE_RUN_EACH)
    long = [*MINE, *words, "trainer.max_steps=1000000", "trainer.val_every=20"]
    process = WARM.start(ROOT / "scripts/compare.py", *long)
    try:
        deadline = time.monotonic() + 60
        while not list(Path("studies/runs").glob("*/checkpoints/last.ckpt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert set(open_study("study").runs["status"]) == {"missing"}
    answer = script("compare", *long, "report_only=true")
    assert answer.status == 1
    assert "finished" in answer.err

    # What was stopped goes on from its checkpoint: here with fewer steps to go.
    (checkpoint,) = Path("studies/runs").glob("*/checkpoints/last.ckpt")
    key = checkpoint.parts[2]
    before = torch.load(checkpoint, weights_only=True)["global_step"]
    manifest = json.loads(Path("study/study.json").read_text())
    (run,) = [run for run in manifest["runs"] if run["key"] == key]
    run["words"].append(f"trainer.max_steps={before + 15}")
    del manifest["crc32"]
    Path("study/study.json").write_text(json.dumps(manifest))
    steps = []
    done = Objective.training_step

    def counted(self, batch, batch_idx):
        steps.append(self.trainer.global_step)
        return done(self, batch, batch_idx)

    monkeypatch.setattr(Objective, "training_step", counted)
    assert script("compare", *long, f'only="{key}"').status == 0  # as a launcher writes it
    assert steps == list(range(before, before + 15))
    assert RunStore(Path("studies/runs")).trained(key)


def test_a_failed_run_is_tried_again_once_and_reported(compare, monkeypatch):
    begun = trainings(monkeypatch)
    wild = ["model=lstm", "optimizer=adamw", "optimizer.lr=1e30"]
    arms = {"lstm": ["model=lstm"], "wild": wild}
    study = {**ONE_RUN_EACH, "sweep": {}, "arms": arms}
    answer = compare("optimizer.clip_norm=null", **study)
    assert answer.status == 0, answer.err
    assert len(begun) == 1 + 2
    runs = open_study("study").runs
    failed = runs[runs["status"] == "failed"]
    assert list(failed["arm"]) == ["wild"]
    assert "not finite" in failed["reason"].iloc[0]
    assert "not finite" in answer.out
    assert "not finite" in Path("study/report.md").read_text(encoding="utf-8")
    begun.clear()
    assert compare("optimizer.clip_norm=null", **study).status == 0
    assert begun == []  # not a third time


@pytest.mark.long
def test_a_launcher_may_train_the_runs_in_other_processes(words):
    write_study(**ONE_RUN_EACH)
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    answer = WARM.run(ROOT / "scripts/compare.py", *MINE, *words, *launcher, timeout=200)
    assert answer.returncode == 0, answer.stderr
    assert set(open_study("study").runs["status"]) == {"finished"}
    assert "studying: 0 of 2 runs done" in answer.stderr
