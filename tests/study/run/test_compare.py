"""Test studies from the command line: which runs are trained or reused, and which are errors."""

import json
import time
import zlib
from pathlib import Path

import pytest
import torch
from forked import WARM
from own_studies import MINE, write_study

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


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def words(text_file):
    """For a study of which each run takes a second."""
    return [
        *("task=text", f"data.path={text_file}", "logger=none", "study.dir=study"),
        *("model.dim=32", "model.layers=1", "model.context=16", "data.batch_size=8"),
        *("trainer.max_steps=10", "trainer.val_every=5"),
    ]


# Two models, two rates, two seeds.
WHOLE = {
    "sweep": {"optimizer.muon_lr": [0.01, 0.02]},
    "sections": ["quality", "curves", "cost", "tuning"],
    "quick": {"seeds": [1, 2]},
}
ONE_RUN_EACH = {"sweep": {"optimizer.muon_lr": [0.01]}, "quick": {"seeds": [1]}}


@pytest.fixture
def compare(script, briefly, words):
    def compare(*more, **changes):
        write_study(**WHOLE | changes)
        return script("compare", *MINE, *words, *more)

    return compare


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


def test_a_study_that_stops_while_its_sweep_is_widened_goes_on_with_it(compare, monkeypatch):
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


def test_a_killed_study_goes_on_and_counts_nothing_half_written(words, script, monkeypatch):
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


def test_a_run_that_fails_is_tried_once_more_and_shown(compare, monkeypatch):
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
def test_other_processes_train_the_runs_where_a_launcher_says_so(words):
    write_study(**ONE_RUN_EACH)
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    answer = WARM.run(ROOT / "scripts/compare.py", *MINE, *words, *launcher, timeout=200)
    assert answer.returncode == 0, answer.stderr
    assert set(open_study("study").runs["status"]) == {"finished"}
    assert "studying: 0 of 2 runs done" in answer.stderr


BAD = {
    "no arms": ({"arms": {}}, [], ["nothing to compare", "study.arms"]),
    "no values": ({"grid": {"model.heads": []}}, [], ["model.heads", "no values"]),
    "no seeds": ({"quick": {"seeds": []}}, [], ["study.quick.seeds"]),
    "a seed twice": ({"quick": {"seeds": [1, 1]}}, [], ["each seed once"]),
    "an unknown model": ({"arms": {"a": ["model=transfomer"]}}, [], ["did you mean transformer"]),
    "an unknown key": ({"grid": {"model.haeds": [1]}}, [], ["model.haeds"]),
    "words that are none": ({"arms": {"a": "model"}}, [], ["study.arms.a", "write a list"]),
    "no width": ({"parameters": 10}, [], ["budget.parameters=10", "2%"]),
    "heads": (
        {"arms": {"a": ["model=transformer"]}, "grid": {"model.heads": [5]}, "match": False},
        [],
        ["model.heads=5", "divide"],
    ),
    "a task that does not suit": ({"tasks": ["recall"]}, [], ["task=text", "recall"]),
    "values that are no values": (
        {"grid": {"model.heads": [[1, 2]]}},
        [],
        ["model.heads has the value [1, 2]", "null"],
    ),
    "a sweep of speeds": ({"measures": "speed"}, [], ["study.sweep", "speed"]),
    "a section that does not suit": ({"sections": ["recall"]}, [], ["task=text", "recall"]),
    "an unknown section": ({"sections": ["qality"]}, [], ["qality", "quality"]),
    "an unknown study": ({}, ["study=architecture"], ["architectures"]),
    "an axis more": (
        {},
        ["study.quick.grid={model.heads:[1,2]}"],
        ["has no model.heads", "++study.quick.grid={model.heads:"],
    ),
    "a model for all": ({}, ["model=lstm"], ["model=lstm", "arms"]),
    "a seed for all": ({}, ["seed=3"], ["seed=3", "seeds"]),
    "a folder that cannot be": ({}, ["study.runs=/dev/null/runs"], ["study.runs=/dev/null/runs"]),
    "a grid that is hidden": (
        {"quick": {"seeds": [1], "grid": {"model.layers": [1]}}},
        ["++study.grid={model.layers:[2]}"],
        ["preset=quick has a grid of its own", "++study.quick.grid="],
    ),
    "a tracker that is not there": ({}, ["logger.mode=online", "logger.name=wandb"], ["W&B key"]),
    "a folder for all": ({}, ["run.dir=x"], ["run.dir"]),
    "a report of nothing": ({}, ["report_only=true"], ["study", "no study"]),
    "an arm that is not there": (
        {},
        ["~study.arms.lstmm"],
        ["the study has no arm lstmm", "transformer", "did you mean lstm?"],
    ),
    "another part left out": ({}, ["~study.grid"], ["~study.grid: only an arm of a study can be"]),
    "every arm left out": ({"arms": {"a": []}}, ["~study.arms.a"], ["nothing to compare"]),
    "a run that is not planned": ({}, ["only=abc"], ["study.json"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_trains_nothing(compare, name):
    study, asked, said = BAD[name]
    answer = compare(*asked, **study)
    assert answer.status == 1
    lines = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, answer.err
    assert all(part in lines[0] for part in said), lines[0]
    assert not list(Path("studies").glob("runs/*/checkpoints"))


def test_a_study_of_another_version_is_refused(compare):
    Path("study").mkdir()
    Path("study/study.json").write_text('{"format": 0}')
    answer = compare()
    assert answer.status == 1
    assert "another version" in answer.err
    assert not list(Path("studies").glob("runs/*/checkpoints"))
