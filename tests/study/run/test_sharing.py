"""Test runs that processes, studies or arms share, and the choice among them."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from filelock import FileLock
from hydra.core.plugins import Plugins
from own_studies import MINE, write_study

from minitx.errors import UserError
from minitx.runs.atomic_write import write_json
from minitx.runs.paths import LAST
from minitx.study.plan.manifest import read_manifest
from minitx.study.plan.run_store import RunStore
from minitx.study.results.collecting import open_study
from minitx.study.run import compare as comparing
from minitx.study.run import job, launching

LEDGER = RunStore(Path("studies/runs"))
ONE_RUN_EACH = {"sweep": {}, "quick": {"seeds": [1]}}


@pytest.fixture
def compare(script, briefly, text_file, tmp_path, monkeypatch):
    """Does a study of one's own: two models, two rates, a seed; each run takes a second."""
    monkeypatch.chdir(tmp_path)
    words = [
        *(*MINE, "task=text", f"data.path={text_file}", "logger=none", "study.dir=study"),
        *("model.dim=32", "model.layers=1", "model.context=16", "data.batch_size=8"),
        *("trainer.max_steps=4", "trainer.val_every=2"),
    ]

    def compare(*more, **changes):
        values = {
            "sweep": {"optimizer.muon_lr": [0.0001, 0.02]},
            "sections": ["quality", "axis", "curves", "cost", "tuning"],
        }
        write_study(**values | changes)
        return script("compare", *words, *more)

    return compare


def test_nothing_is_chosen_while_another_process_runs_the_sweep(compare, monkeypatch):
    launch, calls = launching.launch, []

    def beside_another(keys):
        calls.append(list(keys))
        if len(calls) == 1:
            held.append(FileLock(LEDGER.lock(keys[-1])))
            held[0].acquire()
        elif len(calls) == 3:
            held[0].release()
        launch(keys)

    held = []
    monkeypatch.setattr(launching, "launch", beside_another)
    monkeypatch.setattr(comparing, "WAIT", 0.01)
    answer = compare(arms={"lstm": ["model=lstm"]})
    assert answer.status == 0, answer.err
    assert calls[1] == calls[2] == calls[0][-1:]  # the one that was held, and no other
    runs = open_study("study").runs
    assert set(runs["status"]) == {"finished"}
    best = runs.loc[runs.loc[runs["swept"], "val/loss"].idxmin(), "optimizer.muon_lr"]
    assert list(runs.loc[runs["chosen"], "optimizer.muon_lr"]) == [best]


def test_nothing_is_chosen_if_the_launcher_leaves_runs_unfinished(compare, monkeypatch):
    monkeypatch.setattr(launching, "launch", lambda keys: None)
    answer = compare()
    assert answer.status == 1
    assert "the launcher left 4 of 6 runs unfinished" in answer.err
    assert not any(run.chosen for run in read_manifest(Path("study")).runs)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (RuntimeError("Job 2_1\nhas no output (state: CANCELLED)"), "Job 2_1 has no output (state"),
        (FileNotFoundError(2, "No such file or directory", "sbatch"), "sbatch"),
        (ValueError(), "ValueError"),
    ],
    ids=str,
)
def test_a_launcher_that_loses_a_job_is_one_line(compare, monkeypatch, failure, said):
    launcher = Mock()
    launcher.launch.side_effect = failure
    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_: launcher)
    answer = compare()
    assert answer.status == 1
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: hydra/launcher=basic did not finish all of its jobs: ")
    assert said in line
    assert line.endswith("; run this command again to finish the study")


def test_a_study_is_planned_by_one_process_at_a_time(compare):
    with FileLock("study/study.lock"):
        answer = compare()
    assert answer.status == 1
    assert f"error: another process is running the study in {Path.cwd()}/study: " in answer.err
    assert not LEDGER.root.exists()


def test_an_impossible_folder_is_one_line(compare):
    Path("study").write_text("a file")
    answer = compare("study.dir=study/below")
    assert answer.status == 1
    assert f"error: study.dir={Path.cwd()}/study/below cannot be written" in answer.err


def test_arms_that_are_the_same_share_their_run_and_are_alike(compare, monkeypatch):
    launch, calls = launching.launch, []
    monkeypatch.setattr(launching, "launch", lambda keys: (calls.extend(keys), launch(keys)))
    answer = compare(arms={"one": ["model=lstm"], "other": ["model=lstm"]}, **ONE_RUN_EACH)
    assert answer.status == 0, answer.err
    assert len(calls) == 1
    assert set(open_study("study").runs["status"]) == {"finished"}
    assert "exactly equal" in answer.out.replace("\n", " ")


def test_runs_of_the_same_name_are_trained_once(compare):
    # What is swept here changes no figures, so that both have one name.
    sweep = {"trainer.log_every": [1, 2]}
    answer = compare(arms={"lstm": ["model=lstm"]}, sweep=sweep)
    assert answer.status == 0, answer.err
    runs = open_study("study").runs
    assert runs.loc[runs["swept"], "key"].nunique() == 1
    assert set(runs["status"]) == {"finished"}


def test_a_chosen_run_is_found_before_a_swept_one_of_the_same_name(compare):
    assert compare(arms={"lstm": ["model=lstm"]}, **ONE_RUN_EACH).status == 0
    manifest = read_manifest(Path("study"))
    (run,) = manifest.runs
    manifest.runs = [replace(run, swept=True, chosen=False), run]
    assert manifest.run(run.key) == run


def test_a_run_of_which_a_detail_is_missing_is_not_finished(compare):
    assert compare(arms={"lstm": ["model=lstm"]}, **ONE_RUN_EACH).status == 0
    path = Path("study/study.json")
    manifest = json.loads(path.read_text())
    manifest["runs"][0]["details"] = ["heads"]
    del manifest["crc32"]
    path.write_text(json.dumps(manifest))
    assert set(open_study("study").runs["status"]) == {"missing"}


def test_a_study_knows_where_its_runs_are(compare):
    assert compare("study.runs=here", arms={"lstm": ["model=lstm"]}, **ONE_RUN_EACH).status == 0
    assert set(open_study("study").runs["status"]) == {"finished"}
    assert set(open_study("study", "elsewhere").runs["status"]) == {"missing"}


def test_values_may_be_null_or_true_or_words(compare):
    grid = {"model.qk_norm": [True], "model.window": [None, 4]}
    sweep = {"optimizer.schedule": ["cosine", "constant"]}
    answer = compare(arms={"transformer": ["model=transformer"]}, grid=grid, sweep=sweep)
    assert answer.status == 0, answer.err
    results = open_study("study")
    assert len(results.runs) == 2 * (2 + 1)
    assert set(results.runs["status"]) == {"finished"}
    assert len(results.chosen) == 2
    report = Path("study/report.md").read_text(encoding="utf-8").replace("\\", "")
    assert "transformer with qk_norm=true, window=null: the sweep chose schedule" in report
    assert " from schedule" in report
    assert "this is the edge" not in report  # words have none
    assert "- kept: the same sweep for all, chosen on val" in report


def test_a_failed_run_is_trained_again_only_once(compare, monkeypatch):
    begun = []

    def train(config, *, test):
        begun.append(config.resume)
        folder = Path(config.run.dir)
        (folder / LAST).parent.mkdir(parents=True, exist_ok=True)
        (folder / LAST).touch()
        write_json(folder / "summary.json", {"status": "failed"})
        raise UserError("the loss is not finite")

    monkeypatch.setattr(job, "train", train)
    answer = compare(arms={"lstm": ["model=lstm"]}, **ONE_RUN_EACH)
    assert begun == [None, None]
    assert answer.status == 1
    assert "nothing to report: 1 run failed (the loss is not finite)" in answer.err
    # ... and where it was stopped, it goes on and fails, and is not trained twice at a time.
    begun.clear()
    (run,) = read_manifest(Path("study")).runs
    LEDGER.forget_failure(run.key)
    write_json(LEDGER.folder(run.key) / "summary.json", {"status": "running"})
    compare(arms={"lstm": ["model=lstm"]}, **ONE_RUN_EACH)
    assert begun == [str(LEDGER.folder(run.key).absolute()), None]


def test_a_run_that_cannot_be_measured_has_failed_and_may_be_tried_again(compare, monkeypatch):
    measure = job.measure

    def fails(folder, details, data):
        if "lstm" in (folder / "config.yaml").read_text():
            raise ValueError("no memory")
        measure(folder, details, data)

    monkeypatch.setattr(job, "measure", fails)
    answer = compare(**ONE_RUN_EACH)
    assert answer.status == 0, answer.err
    assert "No run of lstm finished." in Path("study/report.md").read_text(encoding="utf-8")
    runs = open_study("study").runs.set_index("arm")
    assert runs.loc["lstm", "reason"] == "ValueError: no memory"
    failure = f"{runs.loc['lstm', 'folder']}.failed.json"
    assert f"To try failed runs again, delete: {failure}" in answer.out
    monkeypatch.setattr(job, "measure", measure)
    Path(failure).unlink()
    monkeypatch.setattr(job, "train", None)  # it is trained already
    assert compare(**ONE_RUN_EACH).status == 0
    assert set(open_study("study").runs["status"]) == {"finished"}
